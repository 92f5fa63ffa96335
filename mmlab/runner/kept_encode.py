"""How a table of the feature cache is computed, and its key: all that it is a function of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mmlab.data.loader import worker_arguments
from mmlab.data.reader import Reader
from mmlab.data.samples import SampleIndex, captions_of
from mmlab.data.tables import LAYOUT, FeatureTable, InputTable, content_sha256, join_rows
from mmlab.evaluate.label_features import weights_sha256
from mmlab.evaluate.subject import Make, Parts, Piece, Work
from mmlab.model.build import BuiltCell
from mmlab.model.device import autocast
from mmlab.plan.component import Resolved
from mmlab.plugin import Augmented, Dataset, Features, Inquiring, Split
from mmlab.runner.provenance import library_versions

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

    def __init__(self, dataset: Dataset, index: SampleIndex, reader: Reader) -> None:
        self.dataset = dataset
        self.index = index
        self.reader = reader

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        values, modality = self.index.samples[index].values, self.reader.modality
        if modality not in values:
            return self.reader.placeholder[None][:0]
        known = values[modality]
        raw = self.dataset[index].values[modality] if known is None else known
        return torch.stack([self.reader.encoder.transform(one, False) for one in captions_of(raw)])


@torch.no_grad()
def encode_values(
    built: BuiltCell,
    key: str,
    values: Values,
    how: Computing,
    report: Callable[[int], None],
    parts: Parts,
) -> FeatureTable:
    """Encode every value of a split, and the placeholder last, which counts as a sample here."""
    counts: list[int] = []
    found: list[Features] = []

    def make(first: int) -> Iterator[Piece]:
        done = sum(len(each.pooled) for each in found)  # some of them of the next sample
        ends, read = sum(counts), counts.copy()
        whole = first
        for rows in _chunks(_transformed(values, how.workers, read, first), done - ends):
            with autocast(how.device, how.precision):
                features = built.model.encode(key, rows.to(how.device))
            done += len(rows)
            before = whole
            known = [*read, 1] if len(read) == len(values) else read
            while whole < len(known) and ends + known[whole] <= done:
                ends, whole = ends + known[whole], whole + 1
            piece = Piece.of(whole - before, {"row": features.map(lambda x: x.cpu())})
            own = torch.tensor(known[before:whole], dtype=torch.int64)
            yield replace(piece, tensors={**piece.tensors, "counts": own})
            report(len(read))

    work = Work("features", len(values) + 1, 1, dict)
    for piece in parts.each(work, make):
        counts += piece.tensors["counts"].tolist()
        found.append(piece.features("row", torch.device("cpu")))
    return FeatureTable(join_rows(found), _starts(counts[:-1]))


def transform_values(values: Values, workers: int, report: Callable[[int], None]) -> InputTable:
    """Transform every value of a split, and the placeholder last."""
    counts: list[int] = []
    parts: list[Tensor] = []
    for stack in _transformed(values, workers, counts):
        parts.append(stack)
        report(len(counts))
    return InputTable(torch.cat(parts), _starts(counts))


def _transformed(
    values: Values, workers: int, counts: list[int], first: int = 0
) -> Iterator[Tensor]:
    """The values of each sample from the first on, then the placeholder.

    How many each has goes into `counts`.
    """
    rest = range(first, len(values))
    for stack in DataLoader(values, batch_size=None, sampler=rest, **worker_arguments(workers)):
        counts.append(len(stack))
        yield stack
    yield values.reader.placeholder[None]


def _starts(counts: list[int]) -> Tensor:
    return torch.tensor([0, *counts]).cumsum(0)


def _chunks(stacks: Iterable[Tensor], skipped: int = 0) -> Iterator[Tensor]:
    """The same rows, ROWS at a time, without the first so many."""
    waiting: list[Tensor] = []
    for stack in stacks:
        waiting.append(stack[skipped:])
        skipped = max(0, skipped - len(stack))
        if sum(map(len, waiting)) >= ROWS:
            joined = torch.cat(waiting)
            whole = len(joined) // ROWS * ROWS
            yield from torch.split(joined[:whole], ROWS)
            waiting = [joined[whole:]]
    rest = torch.cat(waiting)
    if len(rest):
        yield rest


#: What takes longer than this is kept in parts that take as long.
PART_SECONDS = 60.0


class Lasting(Parts, Protocol):
    """Parts that last: those of `mmlab.runner.parts`."""

    def go_on(self, work: Work, made: list[Piece], pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The rest of a work that turned out to take long; `made` becomes its first part."""


@dataclass(frozen=True)
class WhenLong:
    """Keeps parts once something takes long, or has before: what is short pays nothing.

    `folder` is there where an earlier process has kept some; `size` is that of parts, if it is
    given; `open` makes what keeps them.
    """

    folder: Path
    open: Callable[[], Lasting]
    size: int | None = None

    def each(self, work: Work, make: Make) -> Iterator[Piece]:
        """All pieces of a work."""
        if (self.size or work.count) < work.count or self.folder.is_dir():
            yield from self.open().each(work, make)
            return
        made, pieces = list[Piece](), make(0)
        until = time.monotonic() + PART_SECONDS
        for piece in pieces:
            yield piece
            made.append(piece)
            if time.monotonic() >= until:
                yield from self.open().go_on(work, made, pieces)
                return


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


#: Distributions that decode, transform or compute.
_LIBRARIES = ("mmlab", "torch", "torchvision", "numpy", "pillow")


def frozen_encoders(built: BuiltCell) -> dict[str, str | None]:
    """Frozen encoders by key, with the reason why their features are not kept, or None."""
    return {
        key: _what_a_loss_asks(built, key) or _what_differs(built, key)
        for key in built.model.encoders
        if key in built.model.frozen
    }


def _what_a_loss_asks(built: BuiltCell, key: str) -> str | None:
    """What keeps an encoder's features from being all that training needs of it."""
    for name, loss in built.step.losses.items():
        if loss.views:
            return f"losses.{name} asks for further views of each input"
        if isinstance(loss, Inquiring) and key in loss.reads_inputs:
            return f"losses.{name} looks at its inputs"
    return None


def has_fixed_inputs(built: BuiltCell, key: str, is_trained_on: bool) -> bool:
    """Whether an encoder reads the same inputs at every epoch, of a split that is trained on."""
    if built.step.views:
        return False
    encoder = built.readers[key].encoder
    return not is_trained_on or (isinstance(encoder, Augmented) and not encoder.augments)


def _what_differs(built: BuiltCell, key: str) -> str | None:
    """What makes a sample's features differ from one epoch to the next; only training can."""
    encoder = built.model.encoders[key]
    if built.plan.cell.spec.train is None:
        return None
    if not isinstance(encoder, Augmented):
        return "the encoder does not say whether its training inputs are random (`augments`)"
    return "its training inputs are augmented at random" if encoder.augments else None


def describe_encoder(built: BuiltCell, key: str) -> dict[str, object]:
    """Everything of an encoder that decides its features: what it is, holds, and is asked for."""
    plan, encoder = built.plan, built.model.encoders[key]
    return {
        **_component(plan.encoders[key]),
        "modality": plan.modality(key),
        "preprocessing": built.readers[key].encoder.preprocessing,
        "state": _state_sha256(encoder),
        "reads": sorted(plan.reads),
    }


def describe_transform(built: BuiltCell, key: str) -> dict[str, object]:
    """Everything of an encoder that decides its inputs, and how they are computed.

    That is all it holds but its parameters: a vocabulary among that.
    """
    encoder = cast(nn.Module, built.readers[key].encoder)
    learnt = {name for name, _ in encoder.named_parameters()}
    whole: Mapping[str, Tensor] = {**encoder.state_dict(), **dict(encoder.named_buffers())}
    held = {name: x for name, x in whole.items() if name not in learnt}
    return {
        **_component(built.plan.reading[key]),
        "modality": built.plan.modality(key),
        "preprocessing": built.readers[key].encoder.preprocessing,
        "holds": content_sha256({name: torch.as_tensor(x) for name, x in held.items()}),
        "layout": LAYOUT,
        "libraries": _versions(),
    }


def describe_split(resolved: Resolved, dataset: Dataset, split: Split) -> dict[str, object]:
    """Everything of a split that decides the features of its samples."""
    return {**_component(resolved), "revision": dataset.revision, "split": split}


def describe_computing(device: torch.device, precision: str) -> dict[str, object]:
    """Everything of how features are computed that can change a bit of them."""
    return {
        "layout": LAYOUT,
        "device": device.type,
        "precision": precision,
        "libraries": _versions(),
    }


def describe_model(built: BuiltCell, device: torch.device, precision: str) -> dict[str, object]:
    """Everything of a model that decides what it makes of data, and how it is run."""
    encoders = {key: _component(resolved) for key, resolved in built.plan.encoders.items()}
    read = {key: reader.encoder.preprocessing for key, reader in built.readers.items()}
    return {
        **describe_computing(device, precision),
        "encoders": encoders,
        "preprocessing": read,
        "weights": weights_sha256(built.model),
    }


def _versions() -> dict[str, str]:
    found = library_versions()
    return {name: found[name] for name in _LIBRARIES}


def _state_sha256(encoder: nn.Module) -> str:
    """Identity of all that an encoder holds: parameters, buffers, vocabulary."""
    held: Mapping[str, Tensor] = {**encoder.state_dict(), **dict(encoder.named_buffers())}
    return content_sha256({name: torch.as_tensor(x) for name, x in held.items()})


def _component(resolved: Resolved) -> dict[str, object]:
    return {**resolved.identity(), "source": resolved.entry.source_hash}
