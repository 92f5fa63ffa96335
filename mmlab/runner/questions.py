"""What finished runs are asked more: read from files, added to the runs' plans, and answered.

A file is a whole spec, of which [dataset] and [[evaluate]] count, or these tables alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mmlab.errors import SpecError, explain
from mmlab.hashing import digest
from mmlab.plan.checks import unmet_needs
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.plan.registry import Registry
from mmlab.plan.resolve import Finder, component_faults
from mmlab.runner.cell_runner import CellRunner
from mmlab.runner.cells import plan_of
from mmlab.runner.coordinator import Coordinator, Ended
from mmlab.runner.identity import Confirmer
from mmlab.runner.surroundings import Surroundings
from mmlab.spec import DatasetTable, EvaluateTable, Spec, asked_of
from mmlab.spec.checks import check_part
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault
from mmlab.spec.load import Checked, read_tables
from mmlab.spec.overrides import Overridden
from mmlab.spec.tables import EvaluationsFile


class Questions:
    """What files ask of some finished runs.

    Raises SpecError or PluginError for what cannot be asked of one of them.
    """

    def __init__(
        self,
        runner: CellRunner,
        run_ids: Sequence[str],
        files: Sequence[Path],
        coordinator: Coordinator,
    ) -> None:
        details = [coordinator.run_detail(run_id) for run_id in run_ids]
        self.runner = runner
        self.asked = {
            detail.run.run_id: (
                detail.run,
                *add_evaluations(plan_of(detail, runner.registry), files, runner.registry),
            )
            for detail in details
        }

    def ask(self, run_id: str, coordinator: Coordinator) -> Ended:
        """Evaluate one of the runs on what it has not been asked before."""
        before = Surroundings.now()
        _, plan, _ = self.asked[run_id]
        ended = self.runner.attempt(plan, partial(self._ask, run_id, coordinator))
        return replace(ended, left_behind=before.changes())

    def _ask(self, run_id: str, coordinator: Coordinator, plan: Plan) -> Ended:
        row, _, names = self.asked[run_id]
        runner = self.runner
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
        for name in (one.name for one in asked_of(request.evaluate)):
            if name in asked:
                raise _asked_twice(name, path, asked[name])
            asked[name] = path
        plan = _with_request(plan, request, registry)
    return plan, list(asked)


def _with_request(plan: Plan, request: Request, registry: Registry) -> Plan:
    finder = Finder(request.path, request.document, registry)
    given = _dataset(plan, request, finder)
    evaluators, datasets = dict[str, Resolved](), dict[str, Resolved]()
    asked = asked_of(request.evaluate)
    for one in asked:
        where = ("evaluate", one.position)
        evaluators[one.name] = finder.find("evaluator", one.table, *where)
        own = given
        if one.table.dataset is not None:
            own = finder.find("dataset", one.table.dataset, *one.data)
        if own is not None:
            datasets[one.name] = own
    finder.raise_faults()
    finder.faults += unmet_needs(plan, evaluators, asked)
    finder.raise_faults()
    written = {t.name or t.use: t for t in (*plan.cell.spec.evaluate, *request.evaluate)}
    spec = plan.cell.spec.model_copy(update={"evaluate": list(written.values())})
    before = {name: d for name, d in plan.evaluate_datasets.items() if name not in evaluators}
    found, data = {**plan.evaluators, **evaluators}, {**before, **datasets}
    names = [one.name for one in asked_of(spec.evaluate)]  # without what a suite had before
    return replace(
        plan,
        cell=replace(plan.cell, spec=spec),
        evaluators={name: found[name] for name in names},
        evaluate_datasets={name: data[name] for name in names if name in data},
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
