"""What the main process keeps of an execution: in the store, under its lease, and on disk.

A thread renews the lease while a run is executed. All scores of an evaluation are a file in the
runs folder, where its spec wants them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmlab.errors import RunError, StoreError, UsageError, explain
from mmlab.metric import LOSS, Metric
from mmlab.model.weights import load_weights, save_weights
from mmlab.plan.plan import Plan
from mmlab.records import Artifact, EvaluationResult, MetricPoint, Progress, SkippedSample
from mmlab.runner.checkpoints import Checkpoints, Keeper, Saved
from mmlab.store import Claim, Store
from mmlab.train.progress import TRAINING
from mmlab.train.state import Stateful, TrainingState

#: A run whose process died is taken up by others after this long.
LEASE_SECONDS = 60.0


class Lease:
    """A claim that is being renewed. `check` is called at every emission of the training."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self._stop = threading.Event()
        self._is_lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="mmlab-lease", daemon=True)

    def check(self) -> None:
        """Raise RunError("lost") once another process has taken the run."""
        if not self._is_lost.is_set():
            return
        message = explain(
            f"run {self.claim.run_id}",
            "another process has taken this run over",
            found="the lease was not renewed in time (was this process suspended?)",
            allowed="one process a run; nothing was written after the takeover",
            next_step="leave the run to the other process, or run again when it has ended",
        )
        raise RunError(message, "lost")

    def hold(self) -> None:
        """Renew now, before files are written: no fence guards those of the run's next process.

        Raises as `check` does.
        """
        if not self.store.renew(self.claim, self.claim.lease_seconds):
            self._is_lost.set()
        self.check()

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def _renew(self) -> None:
        seconds = self.claim.lease_seconds
        while not self._stop.wait(seconds / 4):
            try:
                if not self.store.renew(self.claim, seconds):
                    self._is_lost.set()
                    return
            except StoreError:
                # The database is away; whether the run is lost shows when it is back.
                continue


@contextmanager
def keep_lease(store: Store, claim: Claim) -> Iterator[Lease]:
    """Renew the claim in the background for as long as the block runs."""
    lease = Lease(store, claim)
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()


#: Points wait this long at the most while training emits.
FLUSH_SECONDS = 2.0


class RunRecord:
    """The record of a claimed run. Nothing is written once another process has taken the run.

    Leaving the block writes the points that wait, also when training has failed.
    """

    def __init__(
        self,
        lease: Lease,
        runs: Path,
        wanted: Mapping[str, str],
        show: Callable[[Progress], None],
        skipped: Sequence[SkippedSample] = (),
        declared: Sequence[Metric] = (),
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.lease = lease
        self.runs = runs
        self.wanted = wanted
        self.show = show
        self.skipped = skipped
        self.curves = Curves(lease.store, lease.claim, declared)
        self.weights = WeightFiles(runs, lease.claim.run_id)
        self.checkpoints = checkpoints
        self._saved: Saved | None = None

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(self, *error: object) -> None:
        self.curves.flush()

    def begin(self) -> None:
        """Take up the newest checkpoint of a former attempt, and its curves until there."""
        self.hold()
        self._saved = self.checkpoints.open() if self.checkpoints else None
        self.lease.store.rewind(self.lease.claim, self._saved.step if self._saved else 0)

    def hold(self) -> None:
        """Be sure of the lease, and that all points until now are stored."""
        self.lease.hold()
        self.curves.flush()

    def saved(self) -> Saved | None:
        """What training goes on from, if it does; the record lets go of it."""
        saved, self._saved = self._saved, None
        return saved

    def parts(self) -> dict[str, Stateful]:
        """The record's own parts of the state of a training."""
        return {"files": self.weights}

    def keeper(self, state: TrainingState, every: int | str) -> Keeper | None:
        """What writes checkpoints before steps. RunError where the state cannot be saved."""
        if self.checkpoints is None:
            return None
        keeper = Keeper(self.checkpoints, state, every, self.hold, self.weights.best)
        keeper.try_out()
        return keeper

    def update(self, progress: Progress) -> None:
        """Keep the points, and show where training stands."""
        self.lease.check()
        self.curves.add(progress.points)
        self.show(progress)

    def keep(self, role: str, state: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Write weights with texts about them in one file, replacing those of the same role."""
        self.lease.hold()
        self.weights.save(role, state, about)

    def best(self) -> Mapping[str, Tensor] | None:
        """The best weights, read back and checked against what was written."""
        return self.weights.load("best")

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """Everything final, in one transaction."""
        self.curves.flush()
        results = write_scores(self.runs, self.lease.claim.run_id, results, self.wanted)
        self.lease.check()
        artifacts = self.weights.artifacts()
        store, claim = self.lease.store, self.lease.claim
        store.finish(claim, results, self.wanted, artifacts, numbers, best_step, self.skipped)
        if self.checkpoints is not None:
            self.checkpoints.clear()


class Curves:
    """Points of training curves on their way to the store, a transaction every FLUSH_SECONDS.

    A fast training emits more often than a database should commit. `declared` says what they are.
    """

    def __init__(self, store: Store, claim: Claim, declared: Sequence[Metric] = ()) -> None:
        self.store = store
        self.claim = claim
        self.declared = declared
        self._waiting: list[MetricPoint] = []
        self._flushed = time.monotonic()

    def add(self, points: Sequence[MetricPoint]) -> None:
        """Take points in; they are in the store at most FLUSH_SECONDS after the next emission."""
        self._waiting += points
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting. Raises LeaseLost if the run is another process's by now."""
        if self._waiting:
            self.store.record_points(self.claim, self._waiting, self.declared)
        self._waiting, self._flushed = [], time.monotonic()


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
    """The weights of one run in the runs folder, by role: "best" and "final"."""

    def __init__(self, runs: Path, run_id: str) -> None:
        self.runs = runs
        self.run_id = run_id
        self._kept: dict[str, Artifact] = {}

    def save(self, role: str, state: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Write weights with texts about them in one file, replacing those of the same role."""
        path = Path(self.run_id, f"{role}.safetensors")
        sha256 = save_weights(self.runs / path, state, about)
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
        self._kept = {role: Artifact(**kept) for role, kept in state_dict.items()}


def require_folder(runs: Path) -> None:
    """Raise UsageError, before anything runs, where no folder for weights can be made."""
    there = next(
        path for path in (runs.absolute(), *runs.absolute().parents) if os.path.exists(path)
    )
    is_effective = os.access in os.supports_effective_ids
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=is_effective):
        return
    raise UsageError(
        explain(
            str(runs),
            "weights cannot be kept there",
            found=f"{there} is {'not writable' if there.is_dir() else 'not a folder'}",
            allowed="a folder, there or yet to be made, that this user may write",
            next_step="choose another folder with --runs, or mend this one",
        )
    )


def write_scores(
    runs: Path, run_id: str, results: Sequence[EvaluationResult], hashes: Mapping[str, str]
) -> list[EvaluationResult]:
    """The results with their scores in files, safetensors of one tensor `scores` (samples, labels).

    The file's metadata are `samples` and `labels`, JSON lists of ids and texts in the tensor's
    order. Raises RunError where a file cannot be written.
    """
    return [
        result if result.scores is None else _written(runs, run_id, result, hashes[result.name])
        for result in results
    ]


def _written(runs: Path, run_id: str, result: EvaluationResult, identity: str) -> EvaluationResult:
    assert result.scores is not None, "only asked for where there are scores"
    ids = result.samples.ids if result.samples is not None else ()
    path = Path(run_id, f"{result.name}-{identity[:12]}.safetensors")
    metadata = {"samples": json.dumps(list(ids)), "labels": json.dumps(result.labels)}
    sha256 = save_weights(runs / path, {"scores": torch.from_numpy(result.scores)}, metadata)
    size = (runs / path).stat().st_size
    file = Artifact("scores", path.as_posix(), sha256, size)
    return replace(result, scores=None, artifacts=[*result.artifacts, file])
