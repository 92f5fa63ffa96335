"""Batches of features and inputs that are kept: no sample is read, and nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmlab.data.loader import TargetEncoder
from mmlab.data.order import Forever, Order, derive_seed
from mmlab.data.tables import CachedSplit, Rows
from mmlab.plugin import Batch, Dataset
from mmlab.plugin.values import Inputs

Places = Sequence[tuple[int, int]]


def kept_training_batches(
    kept: CachedSplit, dataset: Dataset, keys: Iterable[str], order: Order
) -> Iterator[Batch]:
    """The batches that `training_batches` would read: the same samples, captions and targets."""
    batches = _Batches(kept, dataset, keys, order.seed)
    return map(batches.at, Forever(order))


def kept_equal_batches(
    kept: CachedSplit, dataset: Dataset, keys: Iterable[str], batch_size: int
) -> Iterator[Batch]:
    """The batches that `equal_batches` would read."""
    size = min(batch_size, len(dataset))
    batches = _Batches(kept, dataset, keys, seed=0)
    for start in range(0, len(dataset) - size + 1, size):
        yield batches.at([(-1, index) for index in range(start, start + size)])


def kept_evaluation_batches(
    kept: CachedSplit, dataset: Dataset, keys: Iterable[str], batch_size: int, first: int = 0
) -> Iterator[Batch]:
    """The batches that `evaluation_batches` would read."""
    batches = _Batches(kept, dataset, keys, seed=0)
    for start in range(first, len(dataset), batch_size):
        stop = min(start + batch_size, len(dataset))
        yield batches.at([(-1, index) for index in range(start, stop)])


class _Batches:
    """Batches of a split by places: (epoch, sample), epoch -1 being evaluation."""

    def __init__(self, kept: CachedSplit, dataset: Dataset, keys: Iterable[str], seed: int) -> None:
        assert kept.index is not None, "only asked for where no sample need be read"
        keys = list(keys)
        self._features = {key: kept.tables[key] for key in keys if key in kept.tables}
        self._inputs = {key: kept.inputs[key] for key in keys if key not in kept.tables}
        both: Mapping[str, Rows] = {**self._features, **self._inputs}
        self.rows = {key: both[key] for key in keys}  # in this order, for what they draw
        self.samples = kept.index.samples
        self.seed = seed
        self._truths = TargetEncoder.of(dataset)
        self._is_drawn = any(rows.is_drawn for rows in self.rows.values())

    def at(self, places: Places) -> Batch:
        """The batch of these samples; a caption is drawn in training where there are several."""
        index = torch.tensor([sample for _, sample in places])
        is_training = places[0][0] >= 0
        found = self._drawn(places) if is_training and self._is_drawn else self._first(index)
        samples = [self.samples[sample] for _, sample in places]
        return Batch(
            inputs=Inputs({key: t.take(found[key][0]) for key, t in self._inputs.items()}),
            present={key: present for key, (_, present) in found.items()},
            target=self._truths.target([sample.labels for sample in samples]),
            index=index,
            views={},
            targets=self._truths.targets([sample.targets for sample in samples]),
            features={key: t.take(found[key][0]) for key, t in self._features.items()},
        )

    def _first(self, index: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {key: rows.first_rows(index) for key, rows in self.rows.items()}

    def _drawn(self, places: Places) -> dict[str, tuple[Tensor, Tensor]]:
        drawn: dict[str, list[int | None]] = {key: [] for key in self.rows}
        for epoch, sample in places:
            torch.default_generator.manual_seed(derive_seed(self.seed, "sample", epoch, sample))
            for key, rows in self.rows.items():
                drawn[key].append(rows.row(sample, train=True))
        return {key: self.rows[key].places(found) for key, found in drawn.items()}
