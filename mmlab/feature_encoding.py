"""Every value of a split through an encoder or its transform, once: how a table is computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mmlab.build import Experiment
from mmlab.feature_rows import join_rows
from mmlab.feature_table import FeatureTable, InputTable
from mmlab.loader import Reader
from mmlab.outline import Outline
from mmlab.plugin import Dataset, Features
from mmlab.samples import captions_of
from mmlab.train import autocast
from mmlab.workers import worker_arguments

#: Values encoded at a time: always as many, so that no batch size changes a bit of what is kept.
ROWS = 64
#: How often a person hears of an encoding that takes long.
NOTE_SECONDS = 20.0

Note = Callable[[str], None]


@dataclass(frozen=True)
class Computing:
    """How an experiment's encoders are run."""

    device: torch.device
    precision: str
    workers: int


class Values(TorchDataset[Tensor]):
    """The transformed values of each sample, (k, ...): several captions, one other value, none."""

    def __init__(self, dataset: Dataset, outline: Outline, reader: Reader) -> None:
        self.dataset = dataset
        self.outline = outline
        self.reader = reader

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        values, modality = self.outline.samples[index].values, self.reader.modality
        if modality not in values:
            return self.reader.placeholder[None][:0]
        known = values[modality]
        raw = self.dataset[index].values[modality] if known is None else known
        return torch.stack([self.reader.encoder.transform(one, False) for one in captions_of(raw)])


@torch.no_grad()
def encode_values(
    experiment: Experiment,
    key: str,
    values: Values,
    how: Computing,
    report: Callable[[int], None],
) -> FeatureTable:
    """Encode every value of a split, and the placeholder last."""
    counts: list[int] = []
    parts: list[Features] = []
    for rows in _chunks(_transformed(values, how.workers, counts)):
        with autocast(how.device, how.precision):
            features = experiment.model.encode(key, rows.to(how.device))
        parts.append(features.map(lambda x: x.cpu()))
        report(len(counts))
    return FeatureTable(join_rows(parts), _starts(counts))


def transform_values(values: Values, workers: int, report: Callable[[int], None]) -> InputTable:
    """Transform every value of a split, and the placeholder last."""
    counts: list[int] = []
    parts: list[Tensor] = []
    for stack in _transformed(values, workers, counts):
        parts.append(stack)
        report(len(counts))
    return InputTable(torch.cat(parts), _starts(counts))


def _transformed(values: Values, workers: int, counts: list[int]) -> Iterator[Tensor]:
    """The values of each sample, then the placeholder; how many each has goes into `counts`."""
    for stack in DataLoader(values, batch_size=None, **worker_arguments(workers)):
        counts.append(len(stack))
        yield stack
    yield values.reader.placeholder[None]


def _starts(counts: list[int]) -> Tensor:
    return torch.tensor([0, *counts]).cumsum(0)


def _chunks(stacks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same rows, ROWS at a time."""
    waiting: list[Tensor] = []
    for stack in stacks:
        waiting.append(stack)
        if sum(map(len, waiting)) >= ROWS:
            joined = torch.cat(waiting)
            whole = len(joined) // ROWS * ROWS
            yield from torch.split(joined[:whole], ROWS)
            waiting = [joined[whole:]]
    rest = torch.cat(waiting)
    if len(rest):
        yield rest


class Reporter:
    """Says how far an encoding is, where it takes long."""

    def __init__(self, note: Note, name: str, total: int) -> None:
        self._note = note
        self._name = name
        self._total = total
        self._spoke = time.monotonic()

    def __call__(self, done: int) -> None:
        """Say so many samples are done, unless something was said a moment ago."""
        if time.monotonic() - self._spoke < NOTE_SECONDS:
            return
        self._spoke = time.monotonic()
        self._note(f"{self._name}: {done:,} of {self._total:,} samples")
