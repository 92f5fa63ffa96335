"""Initial weights: where encoders that do not start from random get them, files and other runs.

`weights = { run = "X" }` takes the best run of experiment X in its present version: that of the
command where X is part of it, else the newest spec of that name of which a run was submitted. Best
is the validation value that `train.best` names; only runs judged by one metric are compared.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mmlab.errors import WeightsError, explain
from mmlab.files import path_fault
from mmlab.model.build import InitialWeights
from mmlab.model.weights import WeightsReader
from mmlab.plan.plan import Plan, where_of
from mmlab.spec import SourceTable, WeightsTable
from mmlab.spec.faults import Fault, Where, show
from mmlab.spec.places import render_located
from mmlab.store import BestWeights

_PREFIX = "model.encoders."
#: Names of experiments that a message lists.
_SHOWN = 20


class BeingTrained(WeightsError):
    """The weights are not there yet: another process is training them at this moment."""


class StoredRuns(Protocol):
    """What is asked about runs that others start from: of a store, or of a coordinator."""

    def present_runs(self, name: str) -> list[str]:
        """Ids of the runs of an experiment's present version, or of the run of this id."""

    def are_running(self, run_ids: Sequence[str]) -> bool:
        """Whether a process is executing one of these runs at this moment."""

    def best_weights(self, run_ids: Sequence[str]) -> list[BestWeights]:
        """Best weights of those of these runs that are done, newest first."""

    def trained_experiments(self) -> list[str]:
        """The experiments of which a run is done and has weights."""


class WeightsFinder:
    """Finds weights in a store and its folder of runs."""

    def __init__(self, store: StoredRuns, runs: Path, files: WeightsReader | None = None) -> None:
        self.store = store
        self.runs = runs
        self.files = files or WeightsReader()

    def find(self, plan: Plan) -> dict[str, InitialWeights]:
        """The weights each encoder starts from, by its key, or a generator; others are left out.

        Raises WeightsError when a file is missing or an experiment has no finished run, and
        BeingTrained while another process is executing a run that may become the best.
        """
        tables = plan.weights_tables
        self.files.clear()  # a file may have changed since the cell before
        return {
            key: self._from_run(plan, key, table)
            if table.run
            else _from_file(plan, key, table, self.files)
            for key, table in tables.items()
        }

    def _from_run(self, plan: Plan, key: str, table: SourceTable) -> InitialWeights:
        assert table.run is not None, "a weights table names a run or a file"
        place = plan.place(*where_of(key), "weights")
        run_ids = self.store.present_runs(table.run)
        if self.store.are_running(run_ids):
            raise _being_trained(place, table.run)
        found = self.store.best_weights(run_ids)
        if not found:
            raise _nothing_finished(plan, key, table.run, self.store.trained_experiments())
        best = max(_comparable(found), key=_validation_score)
        there = _key_there(table, key)
        return InitialWeights(self.runs / best.path, best.sha256, there, best.run_id)


def _key_there(table: SourceTable, key: str) -> str:
    """The key of an encoder in the file that it starts from; GENERATED of a generator."""
    named = table.encoder if isinstance(table, WeightsTable) else None
    return named or key


def weights_of_files(plan: Plan, files: WeightsReader) -> dict[str, InitialWeights]:
    """The weights of those encoders that start from a file, each file read once."""
    tables = plan.weights_tables
    return {key: _from_file(plan, key, table, files) for key, table in tables.items() if table.file}


def _from_file(plan: Plan, key: str, table: SourceTable, files: WeightsReader) -> InitialWeights:
    assert table.file is not None, "a weights table names a run or a file"
    path = plan.cell.source.document.folder((*where_of(key), "weights", "file")) / table.file
    if not os.path.isfile(path):
        is_folder, fault = os.path.isdir(path), path_fault(path)
        raise WeightsError(
            plan.explain(
                (*where_of(key), "weights", "file"),
                "there is no such weights file",
                found=f"{path} is a folder" if is_folder else f"{path}: {fault or 'nothing'}",
                allowed="a safetensors file; the path is relative to the file that names it",
                next_step="correct the path",
            )
        )
    file = files.read(path)
    holds_model = any(name.startswith(_PREFIX) for name in file.tensors)
    return InitialWeights(path, file.sha256, _key_there(table, key) if holds_model else None)


def _comparable(found: Sequence[BestWeights]) -> list[BestWeights]:
    """The newest run, and those that were judged by the same metric."""

    def judged_by(weights: BestWeights) -> tuple[object, object]:
        return weights.summary.get("best"), weights.summary.get("best_direction")

    return [weights for weights in found if judged_by(weights) == judged_by(found[0])]


def _validation_score(weights: BestWeights) -> float:
    """How good a run was on validation, higher is better; test scores must not choose."""
    value = weights.summary.get("best_value")
    if not isinstance(value, int | float):
        return -math.inf
    return -value if weights.summary["best_direction"] == "min" else value


def _nothing_finished(plan: Plan, key: str, run: str, known: Sequence[str]) -> WeightsError:
    """The error at the place in the spec, with the names that are most alike first."""
    path: Where = (*where_of(key), "weights", "run")
    alike = difflib.get_close_matches(run, known, n=_SHOWN)
    hint = f' (did you mean "{alike[0]}"?)' if alike else ""
    names = [*alike, *(name for name in known if name not in alike)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    fault = Fault(
        path,
        f"no finished run of {run!r} has weights in this database{hint}",
        found=show(run),
        allowed=f"a run id, or an experiment that has finished: "
        f"{', '.join(names[:_SHOWN]) or 'none yet'}{more}",
        next_step="correct the name, or run that experiment first or in the same command",
    )
    return WeightsError(render_located([(fault, plan.cell.source.document.place(path))]))


def _being_trained(place: str, run: str) -> BeingTrained:
    return BeingTrained(
        explain(
            place,
            f"another process is training {run!r} at this moment",
            found="a run that is not finished",
            allowed="the best of its runs, once all have ended",
            next_step="run this command again then",
        )
    )
