"""The data loader: samples become batches on the host, in this process or in worker processes.

A sample is read and transformed, or found as a row of a table of kept features; the randomness of
its transform is a function of (seed, epoch, sample) alone, so that it does not depend on how many
workers load.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mmlab.data.order import Forever, Order, derive_seed, seed_host_generators
from mmlab.data.reader import Reader
from mmlab.data.samples import target_names
from mmlab.data.tables import FeatureTable
from mmlab.plugin import Batch, Dataset, Sample
from mmlab.plugin.values import Inputs


class WorkerArguments(TypedDict):
    """What torch's DataLoader is told about its workers."""

    num_workers: int
    multiprocessing_context: str | None
    worker_init_fn: Callable[[int], None]


def worker_arguments(count: int) -> WorkerArguments:
    """The arguments of a DataLoader with this many workers; with 0 it reads samples itself.

    Workers are forked: they share what a dataset holds in memory and encoders whose weights are on
    a GPU, neither of which has to be copied or pickled. What a thread of this process holds at that
    moment is never let go of in a worker, so it uses none of it: neither the database (the lease's)
    nor the terminal (the bar's). Python warns of that from 3.12 on, where asked to with `-W`.
    """
    return {
        "num_workers": count,
        "multiprocessing_context": "fork" if count else None,
        "worker_init_fn": _write_past_the_bar,
    }


def _write_past_the_bar(worker: int) -> None:
    # A bar on the terminal takes the streams over, and its thread may hold it at the fork.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


@dataclass(frozen=True)
class Row:
    """A sample on its way into a batch, by encoder key: an input or a row of a table, or None."""

    index: int
    labels: tuple[int, ...] | None
    targets: tuple[float, ...]
    inputs: Mapping[str, Tensor | None]
    kept: Mapping[str, int | None]
    views: Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True)
class TargetEncoder:
    """How labels and targets of a dataset's samples become tensors."""

    label_count: int
    is_multi_label: bool
    has_targets: bool

    @classmethod
    def of(cls, dataset: Dataset) -> TargetEncoder:
        """Those of a dataset."""
        return cls(len(dataset.labels), dataset.is_multi_label, bool(target_names(dataset)))

    def target(self, labels: Sequence[tuple[int, ...] | None]) -> Tensor:
        """(B,) int64, -1 where unknown; or of several labels (B, C) float, NaN where unknown."""
        if not self.is_multi_label:
            return torch.tensor([each[0] if each else -1 for each in labels])
        target = torch.zeros(len(labels), self.label_count)
        for position, each in enumerate(labels):
            if each is None:
                target[position] = torch.nan
            else:
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
    targets: TargetEncoder

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
            target=self.targets.target([row.labels for row in rows]),
            index=torch.tensor([row.index for row in rows]),
            views={key: self._stack_views(rows, key) for key in read} if self.views else {},
            targets=self.targets.targets([row.targets for row in rows]),
            features={key: self.tables[key].take(index) for key, (index, _) in kept.items()},
        )

    def _stack(self, rows: Sequence[Row], key: str) -> Tensor:
        found = [row.inputs[key] for row in rows]
        placeholder = self.placeholders[key]
        return torch.stack([placeholder if value is None else value for value in found])

    def _stack_views(self, rows: Sequence[Row], key: str) -> Tensor:
        views = [torch.stack([row.views[key][i] for row in rows]) for i in range(self.views)]
        return torch.stack(views)  # (V, B, ...)


def training_batches(
    dataset: Dataset,
    readers: Mapping[str, Reader],
    order: Order,
    *,
    workers: int,
    views: int = 0,
    tables: Mapping[str, FeatureTable] | None = None,
) -> Iterator[Batch]:
    """Endless shuffled batches of one size, from the order's first step on.

    Encoders with a table get their features from it in the place of an input.
    """
    samples = _Samples(dataset, readers, seed=order.seed, views=views, tables=tables)
    return iter(_data_loader(samples, Forever(order), workers))


def evaluation_batches(
    dataset: Dataset,
    readers: Mapping[str, Reader],
    batch_size: int,
    *,
    workers: int = 0,
    first: int = 0,
) -> Iterator[Batch]:
    """Every sample from the first on once, in the dataset's order, by evaluation transforms."""
    return _evaluation_batches(_Samples(dataset, readers), batch_size, workers, first)


def equal_batches(
    dataset: Dataset,
    readers: Mapping[str, Reader],
    batch_size: int,
    *,
    workers: int = 0,
    views: int = 0,
    seed: int = 0,
    tables: Mapping[str, FeatureTable] | None = None,
) -> Iterator[Batch]:
    """As `evaluation_batches`, but all of one size: a contrastive loss depends on it.

    A split smaller than `batch_size` is one batch; the rest that fills no batch is left out.
    `views` of each sample come from the training transform, the same ones every time for a seed.
    """
    size = min(batch_size, len(dataset))
    full = len(dataset) // size if size else 0
    samples = _Samples(dataset, readers, seed=seed, views=views, tables=tables)
    return itertools.islice(_evaluation_batches(samples, size or 1, workers), full)


def _evaluation_batches(
    samples: _Samples, batch_size: int, workers: int, first: int = 0
) -> Iterator[Batch]:
    rows = [(-1, index) for index in range(first, len(samples.dataset))]
    chunks = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return iter(_data_loader(samples, chunks, workers))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device, copied without waiting where the memory is pinned."""

    return batch.map(lambda x: x.to(device, non_blocking=True))


class _Samples(TorchDataset[Row]):
    """Transformed samples, addressed by (epoch, index); epoch -1 is evaluation."""

    def __init__(
        self,
        dataset: Dataset,
        readers: Mapping[str, Reader],
        *,
        seed: int = 0,
        views: int = 0,
        tables: Mapping[str, FeatureTable] | None = None,
    ) -> None:
        self.dataset = dataset
        self.readers = readers
        self.seed = seed
        self.views = views
        self.tables = tables or {}

    def __getitem__(self, place: tuple[int, int]) -> Row:
        epoch, index = place
        train = epoch >= 0
        if train or self.views:
            seed_host_generators(derive_seed(self.seed, "sample", epoch, index))
        sample = self.dataset[index]
        inputs: dict[str, Tensor | None] = {}
        kept: dict[str, int | None] = {}
        for key, reader in self.readers.items():  # in this order, for what they draw
            if key in self.tables:
                kept[key] = self.tables[key].row(index, train)
            else:
                inputs[key] = reader.read(sample, train)
        views = {key: self._views(sample, reader) for key, reader in self.readers.items()}
        return Row(index, sample.labels, sample.targets, inputs, kept, views)

    def collator(self) -> Collator:
        """What makes batches of these samples."""
        return Collator(
            {key: reader.placeholder for key, reader in self.readers.items()},
            self.tables,
            self.views,
            TargetEncoder.of(self.dataset),
        )

    def _views(self, sample: Sample, reader: Reader) -> list[Tensor]:
        made = [reader.read(sample, True) for _ in range(self.views)]
        return [reader.placeholder if view is None else view for view in made]


def _data_loader(
    samples: _Samples, batches: object, workers: int
) -> DataLoader[Row]:  # yields Batch: torch types a loader by its dataset, not by its collation
    return DataLoader(
        samples,
        batch_sampler=cast(list[list[int]], batches),
        collate_fn=samples.collator(),
        pin_memory=torch.cuda.is_available(),
        **worker_arguments(workers),
    )
