"""What `mmlab evaluate` does: ask finished runs more, from the weights they left."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmlab.added_evaluations import add_evaluations
from mmlab.builtins import BUILTINS
from mmlab.device import resolve_device
from mmlab.errors import UsageError, explain
from mmlab.identity import evaluation_hashes
from mmlab.loading import cell_of
from mmlab.plan import Plan, prepare
from mmlab.registry import Registry
from mmlab.runner import Display, Outcome, Runner, RunOptions, Status, label_of
from mmlab.store import RunRow, Store, open_store, require_done


def evaluate_runs(
    run: str, paths: Sequence[Path], options: RunOptions, display: Display, *, every: bool = False
) -> list[Outcome]:
    """Evaluate a finished run on what files ask more, without training it again.

    `run` is as in `Store.find_run`; with `every` it is an experiment, and all its done runs are
    asked. What a run has been asked before is left alone; what is new lands in one transaction a
    run. Raises UsageError, SpecError or PluginError before anything is evaluated.
    """
    registry, device = Registry.discover(BUILTINS), resolve_device(options.device)
    with open_store(options.db) as store:
        runner = Runner(store, options, display, device)
        asked = []
        for row in find_runs(store, run, every=every):
            plan = prepare(cell_of(store.run_detail(row.run_id)), registry)
            asked.append((row, *add_evaluations(plan, paths, registry)))
        outcomes = []
        for position, (row, plan, names) in enumerate(asked, start=1):
            display.started(row.experiment, label_of(plan), position, len(asked))
            outcomes.append(runner.attempt(plan, partial(_ask, runner, row, names)))
            display.finished(outcomes[-1])
    return outcomes


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


def _ask(
    runner: Runner, row: RunRow, names: Sequence[str], plan: Plan
) -> tuple[Status, str | None, str | None]:
    wanted = evaluation_hashes(plan, row.train_hash, runner.splits, names)
    return runner.evaluate_more(plan, row, wanted)
