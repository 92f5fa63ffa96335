"""The beginning of a training, and its summary in numbers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict

import torch

from mmlab.best import best_direction
from mmlab.build import Experiment
from mmlab.cost import count_parameters
from mmlab.feature_table import Kept
from mmlab.features import Keeper
from mmlab.group import Group
from mmlab.kept_batches import kept_training_batches
from mmlab.loader import Order, training_batches
from mmlab.plugin import Batch
from mmlab.provenance import peak_memory_bytes, reset_peak_memory
from mmlab.spec import TrainTable
from mmlab.splits import Splits
from mmlab.train import Progress, Trainer


def start_training(
    experiment: Experiment,
    splits: Splits,
    device: torch.device,
    group: Group | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trainer, Iterator[Batch]]:
    """The trainer of an experiment and its endless batches, in the order of the cell's seed."""
    plan, table = experiment.plan, experiment.plan.cell.spec.train
    assert table is not None, "only asked for where the spec trains"
    group = group or Group()
    size = len(splits.training(plan))
    order = Order(plan.cell.seed, size, table.batch_size, rank=group.rank, ranks=group.size)
    kept = keeper.kept(plan.dataset, "train") if keeper else Kept()
    batches = _batches(experiment, splits, order, kept.to(device))
    scales = {key: plan.cell.spec.encoders[key].lr_scale for key in plan.encoders}
    return Trainer(experiment.step, table, order, device, group, scales), batches


def _batches(experiment: Experiment, splits: Splits, order: Order, kept: Kept) -> Iterator[Batch]:
    plan, readers = experiment.plan, experiment.readers
    dataset = splits.training(plan)
    if kept.covers(readers):
        return kept_training_batches(kept, dataset, readers, order)
    table = plan.cell.spec.train
    return training_batches(
        dataset,
        readers,
        order,
        workers=table.workers if table else 0,
        views=experiment.step.views,
        tables=kept.tables,
    )


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
    def has_best(self) -> bool:
        """Whether a validation chose the best weights."""
        return self._best_step is not None

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
