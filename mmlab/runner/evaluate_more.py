"""`mmlab evaluate`: ask finished runs more, from the weights they left.

What is asked is read by the process that evaluates, a child of this one; see
`mmlab.runner.questions`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from mmlab.errors import UsageError, explain
from mmlab.records import cell_name
from mmlab.runner.claimed import StoreCoordinator
from mmlab.runner.coordinator import Coordinator, Died, Display, Ended, Executor, Outcome
from mmlab.runner.runner import RunOptions, begin, executor_of
from mmlab.runner.stopping import Stop
from mmlab.store import RunRow, Store, open_store, require_done


def evaluate_runs(
    run: str, paths: Sequence[Path], options: RunOptions, display: Display, *, every: bool = False
) -> list[Outcome]:
    """Evaluate a finished run on what files ask more, without training it again.

    `run` is as in `Store.find_run`; with `every` it is an experiment, and all its done runs are
    asked. What a run has been asked before is left alone; what is new lands in one transaction a
    run. Raises UsageError, SpecError or PluginError before anything is evaluated, KeyboardInterrupt
    after Ctrl-C and StoppedError after another signal; runs that were evaluated until then are.
    """
    with open_store(options.db) as store:
        rows = find_runs(store, run, every=every)
        with executor_of(options) as executor:
            runs = begin(executor, store, options, display)
            coordinator = StoreCoordinator(store, runs, uuid.uuid4().hex, display)
            executor.read_questions([row.run_id for row in rows], paths, coordinator)
            with Stop(executor.ask_to_stop, executor.kill) as stop:
                outcomes = _ask_all(executor, rows, coordinator, stop)
            stop.raise_if_asked(": the same command asks what is left", display.note)
    return outcomes


def _ask_all(
    executor: Executor, rows: Sequence[RunRow], coordinator: StoreCoordinator, stop: Stop
) -> list[Outcome]:
    """Ask one run after the other, until all are asked or it is stopped."""
    display, outcomes = coordinator.display, list[Outcome]()
    for position, row in enumerate(rows, start=1):
        label, began = cell_name(row.cell, row.seed), time.perf_counter()
        display.started(row.experiment, label, position, len(rows))
        ended = _ask(executor, row.run_id, coordinator, stop)
        ended.tell_left_behind(display)
        seconds = time.perf_counter() - began
        outcomes.append(
            Outcome(ended.status, row.experiment, label, ended.run_id, ended.error, seconds)
        )
        display.finished(outcomes[-1])
        if ended.status == "interrupted":  # by whomever
            stop.ask()
        if stop.is_asked:
            break
    return outcomes


def _ask(executor: Executor, run_id: str, coordinator: Coordinator, stop: Stop) -> Ended:
    try:
        return executor.ask(run_id, coordinator)
    except Died as death:
        if stop.is_urgent:  # it was killed by us
            return Ended("interrupted", run_id)
        return Ended("failed", run_id, death.message)


def find_runs(store: Store, run: str, *, every: bool) -> list[RunRow]:
    """The done run that is meant, or every done run of an experiment, the oldest first."""
    if not every:
        row = store.find_run(run)
        require_done(row.run_id, row.status)
        return [row]
    rows = store.runs(experiment=run, status="done")[::-1]
    if not rows:
        raise UsageError(
            explain(
                f"experiment {run!r}",
                "has no finished run",
                found="none",
                allowed="an experiment with done runs",
                next_step="see them all: mmlab ls --status done",
            )
        )
    return rows
