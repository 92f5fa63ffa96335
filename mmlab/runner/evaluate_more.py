"""`mmlab evaluate`: ask finished runs more, from the weights they left.

What is asked is read from a file and added to the run's plan. A file is a whole spec, of which
[dataset] and [[evaluate]] count, or these tables alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mmlab.errors import SpecError, UsageError, explain
from mmlab.hashing import digest
from mmlab.plan.checks import unmet_needs
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import Finder, component_faults
from mmlab.records import cell_name
from mmlab.runner.cell_runner import CellRunner
from mmlab.runner.cells import plan_of
from mmlab.runner.claimed import StoreCoordinator
from mmlab.runner.coordinator import Coordinator, Display, Ended, Outcome
from mmlab.runner.identity import Confirmer
from mmlab.runner.runner import RunOptions, begin
from mmlab.runner.stopping import Stop
from mmlab.spec import DatasetTable, EvaluateTable, Spec
from mmlab.spec.checks import check_part
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault
from mmlab.spec.load import Checked, read_tables
from mmlab.spec.overrides import Overridden
from mmlab.spec.tables import EvaluationsFile
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
    registry, runner = Registry.discover(BUILTINS), CellRunner(options.device)
    with open_store(options.db) as store:
        runs = begin(runner, store, options, display)
        coordinator = StoreCoordinator(store, runs, uuid.uuid4().hex, display)
        asked = []
        for row in find_runs(store, run, every=every):
            plan = plan_of(store.run_detail(row.run_id), registry)
            asked.append((row, *add_evaluations(plan, paths, registry)))
        outcomes = list[Outcome]()
        with Stop(runner.ask_to_stop, runner.kill) as stop:
            for position, (row, plan, names) in enumerate(asked, start=1):
                label = cell_name(plan.cell.label, plan.cell.seed)
                display.started(row.experiment, label, position, len(asked))
                began = time.perf_counter()
                ended = runner.attempt(plan, partial(_ask, runner, row, names, coordinator))
                seconds = time.perf_counter() - began
                outcomes.append(
                    Outcome(ended.status, row.experiment, label, ended.run_id, ended.error, seconds)
                )
                display.finished(outcomes[-1])
                if ended.status == "interrupted":  # by whomever
                    stop.ask()
                    break
        stop.raise_if_asked(": the same command asks what is left", display.note)
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
    runner: CellRunner, row: RunRow, names: Sequence[str], coordinator: Coordinator, plan: Plan
) -> Ended:
    runner.note = coordinator.note
    if any(dataset.is_strict for dataset in plan.evaluate_datasets.values()):
        runner.splits.compare(plan)  # with the training data, which nothing else here needs
    confirmer = Confirmer(coordinator, coordinator.note)
    wanted = confirmer.evaluations(plan, row.train_hash, runner.splits, names)
    confirmer.keep()
    return runner.add_evaluations(plan, row, wanted, coordinator)


@dataclass(frozen=True)
class Request:
    """What one file asks. `dataset` is for the evaluations that name none of their own."""

    path: Path
    document: Document
    evaluate: Sequence[EvaluateTable]
    dataset: DatasetTable | None


def read_request(path: Path, registry: Registry) -> Request:
    """The evaluations of a file. Raises SpecError with every fault at its place."""
    more_faults = partial(component_faults, registry, path)
    tables, overridden = read_tables(path, _check_request, more_faults=more_faults)
    return Request(path, overridden.document, tables.evaluate, tables.dataset)


def _check_request(overridden: Overridden) -> Checked[Spec | EvaluationsFile]:
    document = overridden.document
    tables, faults = check_part(document, EvaluationsFile)
    if not document.values.get("evaluate"):
        faults = [fault for fault in faults if fault.path != ("evaluate",)]
        faults.append(_asks_nothing())
    return Checked(tables, faults)


def add_evaluations(
    plan: Plan, paths: Sequence[Path], registry: Registry
) -> tuple[Plan, list[str]]:
    """The plan of a run with what files ask more, and the names of what they ask.

    An evaluation of a name that the run has already takes its place. Raises SpecError or
    PluginError.
    """
    asked: dict[str, Path] = {}
    for path in paths:
        request = read_request(path, registry)
        for table in request.evaluate:
            name = table.name or table.use
            if name in asked:
                raise _asked_twice(name, path, asked[name])
            asked[name] = path
        plan = _with_request(plan, request, registry)
    return plan, list(asked)


def _with_request(plan: Plan, request: Request, registry: Registry) -> Plan:
    finder = Finder(request.path, request.document, registry)
    given = _dataset(plan, request, finder)
    evaluators, datasets = dict[str, Resolved](), dict[str, Resolved]()
    for position, table in enumerate(request.evaluate):
        name = table.name or table.use
        evaluators[name] = finder.find("evaluator", table, "evaluate", position)
        own = given
        if table.dataset is not None:
            own = finder.find("dataset", table.dataset, "evaluate", position, "dataset")
        if own is not None:
            datasets[name] = own
    finder.raise_faults()
    finder.faults += unmet_needs(plan, evaluators)
    finder.raise_faults()
    kept = {name: d for name, d in plan.evaluate_datasets.items() if name not in evaluators}
    tables = {**plan.evaluate_tables, **{t.name or t.use: t for t in request.evaluate}}
    spec = plan.cell.spec.model_copy(update={"evaluate": list(tables.values())})
    return replace(
        plan,
        cell=replace(plan.cell, spec=spec),
        evaluators={**plan.evaluators, **evaluators},
        evaluate_datasets={**kept, **datasets},
    )


def _dataset(plan: Plan, request: Request, finder: Finder) -> Resolved | None:
    """The file's own dataset; None where it has none, or it is the run's: asked before, then."""
    if request.dataset is None:
        return None
    found: Resolved | None = finder.find("dataset", request.dataset, "dataset")
    if found is None or digest(found.locality()) == digest(plan.dataset.locality()):
        return None
    return found


def _asks_nothing() -> Fault:
    return Fault(
        (),
        "asks nothing",
        found="no [[evaluate]]",
        allowed="a spec, or [[evaluate]] tables with or without a [dataset]",
        next_step="add [[evaluate]]",
    )


def _asked_twice(name: str, path: Path, before: Path) -> SpecError:
    return SpecError(
        explain(
            str(path),
            "two evaluations of one name",
            found=f"{name!r} here and in {before}",
            allowed="a name once, in all files together",
            next_step="add name = ... to one of them",
        )
    )
