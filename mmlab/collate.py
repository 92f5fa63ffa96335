"""Rows of samples, transformed or found in a table of features, as a batch on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmlab.feature_table import FeatureTable
from mmlab.plugin import Batch, Dataset
from mmlab.samples import target_names
from mmlab.values import Inputs


@dataclass(frozen=True)
class Row:
    """A sample on its way into a batch, by encoder key: an input or a row of a table, or None."""

    index: int
    labels: tuple[int, ...]
    targets: tuple[float, ...]
    inputs: Mapping[str, Tensor | None]
    kept: Mapping[str, int | None]
    views: Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True)
class Truths:
    """How labels and targets of a dataset's samples become tensors."""

    label_count: int
    is_multi_label: bool
    has_targets: bool

    @classmethod
    def of(cls, dataset: Dataset) -> Truths:
        """Those of a dataset."""
        return cls(len(dataset.labels), dataset.is_multi_label, bool(target_names(dataset)))

    def target(self, labels: Sequence[tuple[int, ...]]) -> Tensor:
        """(B,) int64 with -1 where there is no label, or (B, C) float for several labels."""
        if not self.is_multi_label:
            return torch.tensor([each[0] if each else -1 for each in labels])
        target = torch.zeros(len(labels), self.label_count)
        for position, each in enumerate(labels):
            target[position, list(each)] = 1.0
        return target

    def targets(self, targets: Sequence[tuple[float, ...]]) -> Tensor | None:
        """(B, T) float32, or None where the dataset has none."""
        return torch.tensor(targets) if self.has_targets else None


@dataclass(frozen=True)
class Collator:
    """Rows -> Batch. `placeholders` stand in for what a sample lacks, in the order of encoders."""

    placeholders: Mapping[str, Tensor]
    tables: Mapping[str, FeatureTable]
    views: int
    truths: Truths

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """The batch of some rows."""
        kept = {key: t.places(row.kept[key] for row in rows) for key, t in self.tables.items()}
        read = [key for key in self.placeholders if key not in self.tables]
        return Batch(
            inputs=Inputs({key: self._stack(rows, key) for key in read}),
            present={
                key: kept[key][1]
                if key in kept
                else torch.tensor([row.inputs[key] is not None for row in rows])
                for key in self.placeholders
            },
            target=self.truths.target([row.labels for row in rows]),
            index=torch.tensor([row.index for row in rows]),
            views={key: self._stack_views(rows, key) for key in read} if self.views else {},
            targets=self.truths.targets([row.targets for row in rows]),
            features={key: self.tables[key].take(index) for key, (index, _) in kept.items()},
        )

    def _stack(self, rows: Sequence[Row], key: str) -> Tensor:
        found = [row.inputs[key] for row in rows]
        placeholder = self.placeholders[key]
        return torch.stack([placeholder if value is None else value for value in found])

    def _stack_views(self, rows: Sequence[Row], key: str) -> Tensor:
        views = [torch.stack([row.views[key][i] for row in rows]) for i in range(self.views)]
        return torch.stack(views)  # (V, B, ...)
