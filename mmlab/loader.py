"""From a dataset's raw samples to batches: transforms, missing inputs, order and randomness.

The order of training samples is a function of (seed, epoch, index) alone, and the randomness of a
sample's transform of (seed, epoch, sample) alone: neither depends on how many workers load.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mmlab.collate import Collator, Row, Truths
from mmlab.errors import DataError, explain
from mmlab.feature_table import FeatureTable
from mmlab.plugin import Batch, Dataset, Encoder, Outlined, Sample, Tokenized
from mmlab.samples import captions_of
from mmlab.workers import worker_arguments


@dataclass(frozen=True)
class Reader:
    """How one encoder's input is read: modality, transform, and a stand-in where missing."""

    modality: str
    encoder: Encoder
    placeholder: Tensor

    def read(self, sample: Sample, train: bool) -> Tensor | None:
        """The encoder's input for this sample, or None where it lacks the modality."""
        if self.modality not in sample.values:
            return None
        return self.encoder.transform(one_caption(sample.values[self.modality], train), train)


def one_caption(raw: object, train: bool) -> object:
    """One of several captions: drawn in training, the first in evaluation; other values as is."""
    captions = captions_of(raw)
    return captions[int(torch.randint(len(captions), ())) if train and len(captions) > 1 else 0]


def make_readers(
    dataset: Dataset,
    encoders: Mapping[str, Encoder],
    modalities: Mapping[str, str],
    *,
    is_trained: bool = True,
) -> dict[str, Reader]:
    """One reader an encoder; the placeholder has the shape of the dataset's first present value.

    Raises DataError where the dataset lacks a modality altogether. A text encoder that is not
    trained needs no text of the dataset: it reads prompts.
    """
    readers = {}
    for key, encoder in encoders.items():
        raw = _first_present(dataset, modalities[key])
        if raw is None:
            if is_trained or not isinstance(encoder, Tokenized):
                raise lacks_modality(dataset, modalities[key], key)
            raw = ""
        placeholder = torch.zeros_like(encoder.transform(one_caption(raw, False), False))
        readers[key] = Reader(modalities[key], encoder, placeholder)
    return readers


def _first_present(dataset: Dataset, modality: str) -> object | None:
    if modality not in dataset.modalities:
        return None
    look = dataset.outline if isinstance(dataset, Outlined) else dataset.__getitem__
    has_it = (index for index in range(len(dataset)) if modality in look(index).values)
    index = next(has_it, None)
    return None if index is None else dataset[index].values[modality]


def lacks_modality(dataset: Dataset, modality: str, key: str) -> DataError:
    """No sample of a dataset has what an encoder reads."""
    return DataError(
        explain(
            f"encoders.{key}",
            f"no sample of the dataset has the modality {modality!r}",
            found=f"modalities {', '.join(dataset.modalities) or 'none'}; {len(dataset)} samples",
            allowed="a modality of the dataset",
            next_step=f"set encoders.{key}.modality, or choose a dataset that has it",
        )
    )


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
    dataset: Dataset, readers: Mapping[str, Reader], batch_size: int, *, workers: int = 0
) -> Iterator[Batch]:
    """Every sample once, in the dataset's order, through the evaluation transforms."""
    return _evaluation_batches(_Samples(dataset, readers), batch_size, workers)


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


def _evaluation_batches(samples: _Samples, batch_size: int, workers: int) -> Iterator[Batch]:
    rows = [(-1, index) for index in range(len(samples.dataset))]
    chunks = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return iter(_data_loader(samples, chunks, workers))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device, copied without waiting where the memory is pinned."""

    return batch.map(lambda x: x.to(device, non_blocking=True))


@dataclass(frozen=True)
class Order:
    """The order of training: `size` samples in batches of `batch_size`, shuffled anew each epoch.

    The last samples of an epoch that fill no batch are left out of that epoch. Of each batch, the
    process of a `rank` reads its share, which is one of `ranks` of equal size.
    """

    seed: int
    size: int
    batch_size: int
    first_step: int = 0
    rank: int = 0
    ranks: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch."""
        return self.size // self.batch_size

    def batches(self, epoch: int) -> list[list[tuple[int, int]]]:
        """This rank's share of each batch of one epoch, a list of (epoch, sample)."""
        rows = [(epoch, index) for index in self._permutation(epoch)]
        share = self.batch_size // self.ranks
        starts = [i * self.batch_size + self.rank * share for i in range(self.steps_per_epoch)]
        return [rows[start : start + share] for start in starts]

    def _permutation(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
        return cast(list[int], torch.randperm(self.size, generator=generator).tolist())


def derive_seed(seed: int, scope: str, *position: int) -> int:
    """A 63-bit seed for one scope ("build", "step", "sample"...) and a position in it."""
    text = ":".join([str(seed), scope, *map(str, position)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_generators(seed: int) -> None:
    """Seed the ambient generators of torch (every device in use), NumPy and Python."""
    seed_host_generators(seed)
    seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed the ambient generators of torch, which modules draw from: every device in use."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def seed_host_generators(seed: int) -> None:
    """Seed the generators that transforms draw from: torch's on the host, NumPy's, Python's.

    `torch.manual_seed` does the same, but at 120 us a call (measured, torch 2.15) it would cost
    more than a step of a small model: it queues the seed for devices nobody uses.
    """
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    random.seed(seed)


class Forever:
    """Batches of (epoch, sample) in an order, without end."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first_epoch, position = divmod(self.order.first_step, self.order.steps_per_epoch)
        for epoch in itertools.count(first_epoch):
            yield from self.order.batches(epoch)[position if epoch == first_epoch else 0 :]


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
            Truths.of(self.dataset),
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
