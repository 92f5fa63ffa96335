"""From spec files to rows in the database: the line that `mmlab run` and `mmlab work` walk.

    spec -> cells -> queue -> claimed cell -> stored run

Read `run_specs` first, then `Worker.work` in `mmlab.runner.worker`, which claims cells, and
`CellRunner.run` in `mmlab.runner.cell_runner`, which executes one, usually in a child process. This
process holds the database and the display, and imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mmlab.records import cell_name
from mmlab.runner.child import ChildProcess
from mmlab.runner.coordinator import (
    Display,
    ExecutionOptions,
    Executor,
    Notes,
    Outcome,
    Prepared,
)
from mmlab.runner.runs_folder import RunsFolder
from mmlab.runner.stopping import Stop
from mmlab.runner.worker import Worker, WorkOptions, explain_held
from mmlab.spec import Override
from mmlab.store import CellState, Store, Submission, open_store
from mmlab.train.torchrun import world_size

#: A process of a group that shows no sign of life for so long is given up.
GROUP_SECONDS = 120.0


@dataclass(frozen=True)
class RunOptions:
    """How a command runs cells.

    `runs` None puts weights beside the database, `cache` None features of frozen encoders; without
    `keeps_features` everything is read and computed anew at every step. `restart`: what was
    interrupted begins anew. `in_process`: cells are executed here, not in a child; in a group of
    processes they always are. A cell with no progress for `cell_timeout` seconds is ended.
    """

    db: str
    runs: Path | None = None
    overrides: tuple[Override, ...] = ()
    device: str = "auto"
    rerun: bool = False
    restart: bool = False
    priority: int = 0
    group_seconds: float = GROUP_SECONDS
    cache: Path | None = None
    keeps_features: bool = True
    in_process: bool = False
    cell_timeout: float | None = None
    work: WorkOptions = field(default_factory=WorkOptions)


def run_specs(paths: Sequence[Path], options: RunOptions, display: Display) -> list[Outcome]:
    """Run every cell that is not done, and record each in one transaction.

    A cell that fails is recorded as failed and the others go on, unless `fail_fast`. What is left
    stays in the queue. Raises SpecError or PluginError before anything is stored, KeyboardInterrupt
    after Ctrl-C and StoppedError after another signal.
    """
    if options.in_process or world_size() > 1:  # as `open_group` sees it
        outcomes: list[Outcome] = _in_process().run_specs(paths, options, display)
        return outcomes
    with ChildProcess(options.device, options.cell_timeout) as child:
        prepared = child.prepare(paths, options.overrides, display)
        return run_prepared(prepared, child, options, display)


def work(options: RunOptions, display: Display) -> list[Outcome]:
    """Execute whatever is queued, from the stored cells alone; gives what became of each.

    Raises as `run_specs` does.
    """
    with executor_of(options) as executor, open_store(options.db) as store:
        with Stop(executor.ask_to_stop, executor.kill) as stop:
            runs = begin(executor, store, options, display)
            worker = Worker(store, runs, executor, display, options.work, stop)
            worker.work()
        _raise_if_stopped(stop, worker, display)
        return list(worker.outcomes.values())


def run_prepared(
    prepared: Prepared, executor: Executor, options: RunOptions, display: Display
) -> list[Outcome]:
    """Submit cells and work on them; what became of each, in their order."""
    with open_store(options.db, create=True) as store:
        with Stop(executor.ask_to_stop, executor.kill) as stop:
            runs = begin(executor, store, options, display)
            own = submit(store, prepared, options)
            worker = Worker(store, runs, executor, display, options.work, stop, own)
            worker.work()
        _raise_if_stopped(stop, worker, display)
        left = {key: _unfinished(state, worker) for key, state in worker.states().items()}
        return [{**worker.outcomes, **left}[key] for key in own]


def submit(store: Store, prepared: Prepared, options: RunOptions) -> dict[int, str]:
    """Put cells into the queue; their numbers there, and the experiment of each."""
    known = store.contents(list(prepared.contents))
    news = {key: text for key, text in prepared.contents.items() if key not in known}
    if news:
        store.keep_contents(news)
    rows = [
        Submission(one.cell, one.waits_for, one.asked_hash, options.priority, options.rerun)
        for one in prepared.cells
    ]
    names = [one.cell.experiment for one in prepared.cells]
    return dict(zip(store.submit_cells(rows), names, strict=True))


def begin(executor: Executor, store: Store, options: RunOptions, notes: Notes) -> RunsFolder:
    """Tell the executor where files are kept; gives the folder of weights, which can be written.

    Runs that ended while the database was away are recorded first.
    """
    runs = options.runs or store.runs_folder
    folder = RunsFolder(store, runs)
    folder.record_sealed(notes.note)
    cache = options.cache or store.cache_folder
    kept = str(cache.absolute()) if options.keeps_features else None
    executor.begin(ExecutionOptions(str(runs.absolute()), kept, options.restart))
    return folder


def executor_of(options: RunOptions) -> AbstractContextManager[Executor]:
    """What executes cells: a child of this process, or this one."""
    if options.in_process:
        here: AbstractContextManager[Executor] = _in_process().executor(options)
        return here
    return ChildProcess(options.device, options.cell_timeout)


def _in_process() -> Any:  # Any: a module, imported only here, for it imports torch
    # Read when torch is imported. DDP would warn, once in every process, of what is meant to be.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    return import_module("mmlab.runner.in_process")


def _unfinished(state: CellState, worker: Worker) -> Outcome:
    """A cell that did not come to an end, and why."""
    if state.id in worker.unfinished and state.status == "queued":
        return worker.unfinished[state.id]
    label, is_held = cell_name(state.label, state.seed), state.status == "running"
    reason = state.reason
    if is_held and state.lease_until is not None:
        reason = explain_held(state.experiment, label, "it", state.lease_until)
    status = "held" if is_held else state.status
    return Outcome(status, state.experiment, label, state.run_id, reason)


def _raise_if_stopped(stop: Stop, worker: Worker, display: Display) -> None:
    """Raise KeyboardInterrupt or StoppedError where a signal has ended the work."""
    if stop.is_asked:
        left = len(worker.states())
        more = f"; {left} of its cells are left in the queue" if left else ""
        stop.raise_if_asked(f"{more}: the same command, or mmlab work, goes on", display.note)
