"""What an execution leaves: weights and scores as files of the run, all else with the coordinator.

All scores of an evaluation are a file in the runs folder, where its spec wants them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmlab.files import sync_names
from mmlab.metric import LOSS, Metric
from mmlab.model.weights import load_weights, save_weights
from mmlab.plan.plan import Plan
from mmlab.plugin import Split
from mmlab.records import Artifact, EvaluationResult, Progress, SkippedSample, WantedPictures
from mmlab.runner.checkpoints import Checkpoints, Saved
from mmlab.runner.coordinator import Coordinator
from mmlab.runner.keeper import Keeper
from mmlab.runner.leftovers import claim_folder, take_from_others
from mmlab.runner.score import PartsOfRun
from mmlab.store import Claim
from mmlab.train.progress import TRAINING
from mmlab.train.state import Stateful, TrainingState


class RunRecord:
    """The record of a claimed run: files here, all else with the coordinator.

    Nothing is written once another process has taken the run.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        runs: Path,
        claim: Claim,
        wanted: Mapping[str, str],
        skipped: Sequence[SkippedSample],
        checkpoints: Checkpoints,
    ) -> None:
        self.coordinator = coordinator
        self.runs = runs
        self.claim = claim
        self.wanted = wanted
        self.skipped = skipped
        self.weights = WeightFiles(runs, claim, claim_folder(runs / claim.run_id, claim.fence))
        self.checkpoints = checkpoints
        self._saved: Saved | None = None

    def begin(self) -> None:
        """Take up the newest checkpoint of a former attempt, and its curves until there."""
        self.checkpoints.take(self.claim.fence)
        self.coordinator.hold()  # whoever claims the run from now on takes that folder away
        take_from_others(self.runs / self.claim.run_id, self.claim.fence)
        self._saved = self.checkpoints.open()
        self.coordinator.rewind(self._saved.step if self._saved else 0)

    def end(self) -> None:
        """Nothing more is written."""
        self.checkpoints.leave()

    def saved(self) -> Saved | None:
        """What training goes on from, if it does; the record lets go of it."""
        saved, self._saved = self._saved, None
        return saved

    def parts(self) -> dict[str, Stateful]:
        """The record's own parts of the state of a training."""
        return {"files": self.weights}

    def keeper(self, state: TrainingState, every: int | str) -> Keeper:
        """What writes checkpoints before steps. RunError where the state cannot be saved."""
        hold, best = self.coordinator.hold, self.weights.best
        keeper = Keeper(self.checkpoints, state, every, hold, best)
        keeper.try_out()
        return keeper

    def update(self, progress: Progress) -> None:
        """Keep the points, and show where training stands."""
        self.coordinator.progress(progress)

    def keep(self, role: str, state: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Write weights with texts about them in one file, replacing those of the same role."""
        self.weights.save(role, state, about, is_sure=self.coordinator.hold())

    def best(self) -> Mapping[str, Tensor] | None:
        """The best weights, read back and checked against what was written."""
        return self.weights.load("best")

    def parts_of_run(self) -> PartsOfRun:
        """Where evaluations keep what takes long."""
        run_id = self.claim.run_id
        return PartsOfRun(self.coordinator, self.runs, run_id, self.wanted, is_executed=True)

    def wanted_pictures(
        self, dataset_revision: str, split: Split, ids: Sequence[str]
    ) -> WantedPictures:
        """Of which of some samples a small picture is wanted."""
        return self.coordinator.wanted_pictures(dataset_revision, split, ids)

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """Everything final, in one transaction."""
        self.coordinator.hold()
        run_id, within = self.claim.run_id, self.weights.within
        results = write_scores(self.runs, run_id, results, self.wanted, within)
        artifacts = self.weights.artifacts()
        if artifacts:
            _name_folders(self.runs)
        if self.coordinator.finish(results, artifacts, numbers, best_step, self.skipped):
            self.checkpoints.clear()
            self.parts_of_run().clear()


def curve_metrics(plan: Plan) -> tuple[Metric, ...]:
    """The metrics of a plan's curves, named as their points: "validation/zero_shot/top1".

    Curves are shown in this order: scores on the validation split, losses, other scalars of
    training, and last how training went along.
    """
    named = [(name, metric) for name, loss in plan.losses.items() for metric in loss.metrics]
    scalars = [(name, metric) for name, metric in named if metric.name != LOSS.name]
    losses = [(name, metric) for name, metric in named if metric.name == LOSS.name]
    asked = [(name, one) for name, found in plan.evaluators.items() for one in found.metrics]
    return (
        *_curves("validation", asked),
        *_curves("validation", scalars),
        *_curves("{stage}", [("", LOSS), *losses]),
        *_curves("train", scalars),
        *_curves("train", (("", metric) for metric in TRAINING)),
    )


def _curves(stage: str, metrics: Iterable[tuple[str, Metric]]) -> Iterator[Metric]:
    """Metrics by the names of who gives them, as those of points: direction and unit stay."""
    for name, metric in metrics:
        path = "/".join(filter(None, (stage, name, metric.path)))
        yield Metric(path, metric.better, metric.unit)


class WeightFiles:
    """The weights of one run in the runs folder, by role: "best" and "final".

    `within` is the folder in which they are written before they get their names.
    """

    def __init__(self, runs: Path, claim: Claim, within: Path | None = None) -> None:
        self.runs = runs
        self.within = within
        self.run_id = claim.run_id
        self.fence = claim.fence
        self._kept: dict[str, Artifact] = {}

    def save(
        self,
        role: str,
        state: Mapping[str, Tensor],
        about: Mapping[str, str],
        *,
        is_sure: bool = True,
    ) -> None:
        """Write weights with texts about them in one file, replacing those of the same role.

        Where this process is not sure to hold the run, the file has a name that no other gives.
        """
        name = role if is_sure else f"{role}-{self.fence}"
        path = Path(self.run_id, f"{name}.safetensors")
        sha256 = save_weights(self.runs / path, state, about, self.within)
        size = (self.runs / path).stat().st_size
        self._kept[role] = Artifact(role, path.as_posix(), sha256, size)

    def load(self, role: str) -> Mapping[str, Tensor]:
        """The weights of a role that was saved; WeightsError where the file has changed."""
        kept = self._kept[role]
        return load_weights(self.runs / kept.path, kept.sha256)

    def best(self) -> Artifact | None:
        """The file of the best weights, if there is one."""
        return self._kept.get("best")

    def artifacts(self) -> list[Artifact]:
        """What has been written."""
        return list(self._kept.values())

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """Which files there are, with their identities; not what is in them."""
        return {role: asdict(kept) for role, kept in self._kept.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on with these files; `load` says so where one has changed meanwhile."""
        self._kept = {
            role: replace(Artifact(**kept), path=f"{self.run_id}/{role}.safetensors")
            for role, kept in state_dict.items()
        }


def write_scores(
    runs: Path,
    run_id: str,
    results: Sequence[EvaluationResult],
    hashes: Mapping[str, str],
    within: Path | None = None,
) -> list[EvaluationResult]:
    """The results with their scores in files, safetensors of one tensor `scores` (samples, labels).

    The file's metadata are `samples` and `labels`, JSON lists of ids and texts in the tensor's
    order. Raises RunError where a file cannot be written.
    """
    written = [
        result
        if result.scores is None
        else _written(runs, run_id, result, hashes[result.name], within)
        for result in results
    ]
    if any(result.scores is not None for result in results):
        _name_folders(runs)
    return written


def _name_folders(runs: Path) -> None:
    """Wait until a run's folder, which may be as new as the files in it, is on the disk."""
    with suppress(OSError):  # a folder that may be written, but not read
        sync_names(runs)


def _written(
    runs: Path, run_id: str, result: EvaluationResult, identity: str, within: Path | None
) -> EvaluationResult:
    assert result.scores is not None, "only asked for where there are scores"
    ids = result.samples.ids if result.samples is not None else ()
    path = Path(run_id, f"{result.name}-{identity[:12]}.safetensors")
    metadata = {"samples": json.dumps(list(ids)), "labels": json.dumps(result.labels)}
    scores = {"scores": torch.from_numpy(result.scores)}
    sha256 = save_weights(runs / path, scores, metadata, within)
    size = (runs / path).stat().st_size
    file = Artifact("scores", path.as_posix(), sha256, size)
    return replace(result, scores=None, artifacts=[*result.artifacts, file])
