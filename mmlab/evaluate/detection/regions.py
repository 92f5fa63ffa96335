"""Regions of a picture and the features of each: windows, patches of a transformer, proposals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmlab.data.tables import join_rows
from mmlab.errors import SpecError, explain
from mmlab.evaluate.detection.grid import (
    WINDOWS_AT_ONCE,
    Grid,
    Level,
    check_count,
    in_blocks,
)
from mmlab.evaluate.detection.proposals import within
from mmlab.evaluate.detection.scene import cut_out
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.plugin import Box, Dense, Features, Placing
from mmlab.records import Doubles


@dataclass(frozen=True)
class Regions:
    """Regions of one picture: boxes (R, 4) in its pixels, and the encoder's features of each.

    `cells` is (rows, columns) where the regions are the cells of one lattice, row by row, that may
    reach beyond the picture. `size` is the picture's (width, height).
    """

    boxes: Doubles
    features: Features | None
    size: tuple[int, int]
    cells: tuple[int, int] | None = None


#: A picture, its id, and what names it in a message -> its regions.
Look = Callable[[Image.Image, str], Regions]


@dataclass(frozen=True)
class Windows:
    """Sliding windows, encoded in batches; one resized copy of the picture for each scale.

    That copy is resized so that a window has the size of the encoder's input. Where the encoder's
    own transform would leave such a window as it is, its pixels go to the encoder without more.
    """

    subject: EvaluatedModel
    key: str
    grid: Grid

    def __call__(self, picture: Image.Image, sample: str) -> Regions:
        """The windows of a picture. Raises DataError where there are too many."""
        levels = self.grid.levels(picture.size, self._window)
        check_count(levels, f"dataset: sample {sample!r}")
        boxes = np.concatenate([level.boxes for level in levels])
        batches = self.batches(picture)
        return Regions(boxes, encode_batches(self.subject, self.key, batches), picture.size)

    def batches(self, picture: Image.Image) -> Iterator[Tensor]:
        """What the encoder is given: all windows, in batches of at most WINDOWS_AT_ONCE."""
        return in_blocks(self._inputs(picture, self.grid.levels(picture.size, self._window)))

    @cached_property
    def _window(self) -> tuple[int, int]:
        """Width and height of a window in pixels of the resized picture."""
        height, width = self.subject.readers[self.key].placeholder.shape[-2:]
        return int(width), int(height)

    @cached_property
    def _is_as_read(self) -> bool:
        """Whether the encoder's transform changes nothing of a picture of its input's size."""
        pixels = np.random.default_rng(0).integers(0, 256, (*self._window[::-1], 3), np.uint8)
        read = self.subject.readers[self.key].encoder.transform(Image.fromarray(pixels), False)
        return torch.equal(read, torch.from_numpy(pixels).permute(2, 0, 1))

    def _inputs(self, picture: Image.Image, levels: Sequence[Level]) -> Iterator[Tensor]:
        transform = self.subject.readers[self.key].encoder.transform
        for level in levels:
            for window in level.cut(picture):
                if self._is_as_read:
                    yield window
                else:
                    yield transform(Image.fromarray(window.permute(1, 2, 0).numpy()), False)


@dataclass(frozen=True)
class Proposals:
    """Boxes that somebody proposes for each picture, each cut out and read as a picture."""

    subject: EvaluatedModel
    key: str
    boxes: Mapping[str, Sequence[Box]]

    def __call__(self, picture: Image.Image, sample: str) -> Regions:
        """The proposals of a picture; none where nothing is proposed for it.

        Raises DataError where one lies outside of the picture.
        """
        boxes = within(self.boxes.get(sample, ()), picture.size, sample)
        transform = self.subject.readers[self.key].encoder.transform
        inputs = (transform(cut_out(picture, box), False) for box in boxes)
        features = encode_batches(self.subject, self.key, in_blocks(inputs)) if boxes else None
        return Regions(np.array(boxes, np.float64).reshape(-1, 4), features, picture.size)


@dataclass(frozen=True)
class Patches:
    """The patches of a vision transformer, each encoded as if the picture was it: one forward.

    The whole picture is squeezed into the encoder's input, so that no edge is cut off.
    """

    subject: EvaluatedModel
    key: str

    def __call__(self, picture: Image.Image, sample: str) -> Regions:
        """The patches of a picture."""
        encoder = self.subject.readers[self.key].encoder
        assert isinstance(encoder, Dense), "checked before anything is read"
        assert isinstance(encoder, Placing), "checked before anything is read"
        height, width = self.subject.readers[self.key].placeholder.shape[-2:]
        squeezed = picture.resize((width, height), Image.Resampling.BICUBIC)
        x = encoder.transform(squeezed, False)[None].to(self.subject.device)
        features = self.subject.encode_patches(self.key, x)
        rows, columns = features.shape[1:3]
        placement = encoder.placement(width, height)
        cells = lattice(rows, columns, placement.result)
        shift, scale = np.tile(placement.shift, 2), np.tile(placement.scale, 2)
        ratio = np.tile(np.divide(picture.size, (width, height)), 2)
        boxes = (cells - shift) / scale * ratio
        flat = Features.of(features.reshape(rows * columns, -1))
        return Regions(boxes, flat, picture.size, (rows, columns))


def lattice(rows: int, columns: int, size: tuple[int, int]) -> Doubles:
    """The cells of a picture of this size (width, height), row by row, (rows * columns, 4)."""
    x = np.linspace(0, size[0], columns + 1)
    y = np.linspace(0, size[1], rows + 1)
    x0, y0 = np.meshgrid(x[:-1], y[:-1])
    x1, y1 = np.meshgrid(x[1:], y[1:])
    return np.stack([x0, y0, x1, y1], -1).reshape(-1, 4)


def encode_batches(subject: EvaluatedModel, key: str, batches: Iterator[Tensor]) -> Features:
    """Features of inputs that come in batches of at most WINDOWS_AT_ONCE."""
    found = []
    for batch in batches:
        assert len(batch) <= WINDOWS_AT_ONCE
        found.append(subject.encode(key, batch.to(subject.device)))
    return join_rows(found)


def check_patches(subject: EvaluatedModel, key: str, name: str) -> None:
    """Raise SpecError unless an encoder gives features of patches that a label can be held to."""
    encoder = subject.readers[key].encoder
    gives = isinstance(encoder, Dense) and encoder.patch_grid is not None
    if not gives or not isinstance(encoder, Placing):
        raise SpecError(
            explain(
                f"evaluate.{name}.regions",
                f"encoders.{key} gives no features of patches",
                found=f"regions 'tokens' with {type(encoder).__name__}",
                allowed="a vision transformer whose patches can be projected as its picture is",
                next_step='set regions = "windows", or use another encoder',
            )
        )
    if subject.reads_tokens:
        raise SpecError(
            explain(
                f"evaluate.{name}.regions",
                "the fusion reads tokens, and a single patch has none",
                found=f"regions 'tokens' with {type(subject.fusion).__name__}",
                allowed="a fusion of pooled features",
                next_step='set regions = "windows"',
            )
        )
