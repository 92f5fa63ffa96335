"""What the runner keeps of a training: its weights on disk and a summary in numbers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mmlab.best import best_direction
from mmlab.build import Experiment
from mmlab.checkpoint import load_weights, restore, save_weights
from mmlab.cost import count_parameters
from mmlab.loader import Order, training_batches
from mmlab.model import Step
from mmlab.plugin import Batch
from mmlab.provenance import peak_memory_bytes, reset_peak_memory
from mmlab.records import Artifact, MetricPoint
from mmlab.spec import TrainTable
from mmlab.splits import Splits
from mmlab.store import Claim, Store
from mmlab.train import Progress, Trainer

#: Points wait this long at the most while training emits.
FLUSH_SECONDS = 2.0


def start_training(
    experiment: Experiment, splits: Splits, device: torch.device
) -> tuple[Trainer, Iterator[Batch]]:
    """The trainer of an experiment and its endless batches, in the order of the cell's seed."""
    plan, table = experiment.plan, experiment.plan.cell.spec.train
    assert table is not None, "only asked for where the spec trains"
    dataset = splits.training(plan)
    order = Order(plan.cell.seed, len(dataset), table.batch_size)
    batches = training_batches(
        dataset, experiment.readers, order, workers=table.workers, views=experiment.step.views
    )
    return Trainer(experiment.step, table, order, device), batches


class Curves:
    """Points of training curves on their way to the store, a transaction every FLUSH_SECONDS.

    A fast training emits more often than a database should commit; leaving the block writes the
    rest, also when training has failed.
    """

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self._waiting: list[MetricPoint] = []
        self._flushed = time.monotonic()

    def __enter__(self) -> Curves:
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    def add(self, points: Sequence[MetricPoint]) -> None:
        """Take points in; they are in the store at most FLUSH_SECONDS after the next emission."""
        self._waiting += points
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting. Raises LeaseLost if the run is another process's by now."""
        if self._waiting:
            self.store.record_points(self.claim, self._waiting)
        self._waiting, self._flushed = [], time.monotonic()


class Weights:
    """The weights of one run in the runs folder, by role: "best" and "final"."""

    def __init__(self, runs: Path, run_id: str) -> None:
        self.runs = runs
        self.run_id = run_id
        self._kept: dict[str, Artifact] = {}

    def save(self, role: str, step: Step) -> None:
        """Write the present weights, replacing those of the same role."""
        path = Path(self.run_id, f"{role}.safetensors")
        sha256 = save_weights(self.runs / path, step.state_dict())
        size = (self.runs / path).stat().st_size
        self._kept[role] = Artifact(role, path.as_posix(), sha256, size)

    def restore_best(self, step: Step) -> None:
        """Put the best weights back; without any validation the final ones are the best."""
        if "best" not in self._kept:
            self.save("best", step)
            return
        best = self._kept["best"]
        restore(step, load_weights(self.runs / best.path, best.sha256), best.path)

    def artifacts(self) -> list[Artifact]:
        """What has been written."""
        return list(self._kept.values())


class Summary:
    """Numbers about one execution, for its row in the store."""

    def __init__(self, device: torch.device, table: TrainTable | None) -> None:
        self.device = device
        self.table = table
        self._best_step: int | None = None
        self._best_value: float | None = None
        reset_peak_memory(device)
        self._started = time.perf_counter()
        self._steps = 0
        self._rates: list[float] = []

    @property
    def best_step(self) -> int | None:
        """Steps behind the best weights: the final ones without validation; None untrained."""
        return self._best_step or self._steps or None

    def see(self, progress: Progress) -> None:
        """Take in what training says."""
        self._steps = progress.step
        self._rates.append(progress.samples_per_second)
        if progress.is_best and self.table is not None:
            values = {point.name: point.value for point in progress.points}
            self._best_step = progress.step
            self._best_value = values[f"validation/{self.table.best}"]

    def as_dict(self, experiment: Experiment) -> dict[str, object]:
        """Durations, sizes and speeds; those of training only where there was one."""
        parameters = list(experiment.step.parameters())
        match = experiment.plan.match
        shared = getattr(experiment.model.fusion, "function_class", None)
        return {
            "seconds": time.perf_counter() - self._started,
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "parameters": sum(p.numel() for p in parameters),
            "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
            "parameters_by_part": count_parameters(experiment.step),
            **({"match": asdict(match)} if match is not None else {}),
            **({"function_class": shared} if shared is not None else {}),
            **(self._training(self.table) if self.table is not None else {}),
        }

    def _training(self, table: TrainTable) -> dict[str, object]:
        return {
            "steps": self._steps,
            "samples_per_second": statistics.median(self._rates),
            "best": table.best,
            "best_direction": best_direction(table),
            "best_step": self.best_step,
            "best_value": self._best_value,
        }
