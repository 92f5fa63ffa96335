"""Sliding windows of several scales over a picture, cut from one resized copy for each scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmlab.errors import DataError, explain
from mmlab.records import Doubles

#: Windows of one picture, at most.
MOST_WINDOWS = 10_000
#: Windows that are held and encoded at a time.
WINDOWS_AT_ONCE = 256
#: Pixels of a resized picture that are held at a time; a larger one is resized band by band.
BAND_PIXELS = 1 << 24


@dataclass(frozen=True)
class Grid:
    """Windows of a picture: every scale with every aspect, `stride` of a window's side apart.

    A window of scale s and aspect a (width over height) has the area of a square whose side is s
    times the picture's shorter side, cut to the picture. Windows are spread evenly from edge to
    edge, so that neighbours may lie a little closer than the stride.
    """

    scales: Sequence[float] = (1.0, 0.7, 0.5, 0.35, 0.25)
    aspects: Sequence[float] = (1.0,)
    stride: float = 0.5

    def levels(self, size: tuple[int, int], window: tuple[int, int]) -> list[Level]:
        """One for each size of windows; of a picture and an encoder's input (width, height)."""
        found = dict[tuple[int, int], Level]()
        shorter = min(size)
        for scale in self.scales:
            for aspect in self.aspects:
                sides = scale * shorter * aspect**0.5, scale * shorter / aspect**0.5
                level = self._level(size, window, sides)
                found.setdefault(level.resized, level)
        return list(found.values())

    def _level(
        self, size: tuple[int, int], window: tuple[int, int], sides: tuple[float, float]
    ) -> Level:
        resized = tuple(
            max(own, round(whole * own / min(side, whole)))
            for whole, own, side in zip(size, window, sides, strict=True)
        )
        counts = tuple(
            math.ceil((whole - own) / max(1.0, self.stride * own)) + 1
            for whole, own in zip(resized, window, strict=True)
        )
        return Level(size, (resized[0], resized[1]), window, (counts[0], counts[1]))


@dataclass(frozen=True)
class Level:
    """Windows of one size; sizes are (width, height), of the resized picture in its own pixels."""

    size: tuple[int, int]
    resized: tuple[int, int]
    window: tuple[int, int]
    counts: tuple[int, int]

    def __len__(self) -> int:
        return self.counts[0] * self.counts[1]

    def starts(self, axis: int) -> list[int]:
        """Where windows begin along x (0) or y (1), in pixels of the resized picture."""
        last = self.resized[axis] - self.window[axis]
        return [round(float(at)) for at in np.linspace(0, last, self.counts[axis])]

    @property
    def boxes(self) -> Doubles:
        """The windows in pixels of the picture, row by row, (n, 4)."""
        x, y = np.meshgrid(self.starts(0), self.starts(1))
        corners = np.stack([x.ravel(), y.ravel()], 1).astype(np.float64)
        ratio = np.divide(self.size, self.resized)
        return np.concatenate([corners * ratio, (corners + self.window) * ratio], 1)

    def cut(self, picture: Image.Image) -> Iterator[Tensor]:
        """The windows row by row, each uint8 (3, height, width); the picture is resized once.

        One that is very large when resized is resized in bands of rows, which give the same pixels.
        """
        rows, height = self.starts(1), self.window[1]
        tall = max(1, BAND_PIXELS // self.resized[0])
        while rows:
            band = [row for row in rows if row + height <= rows[0] + max(tall, height)]
            pixels = self._resized(picture, band[0], band[-1] + height)
            for row in band:
                for column in self.starts(0):
                    top = row - band[0]
                    yield pixels[:, top : top + height, column : column + self.window[0]]
            rows = rows[len(band) :]

    def _resized(self, picture: Image.Image, top: int, bottom: int) -> Tensor:
        """Some rows of the resized picture, uint8 (3, rows, width)."""
        ratio = self.size[1] / self.resized[1]
        box = (0.0, top * ratio, float(self.size[0]), min(bottom * ratio, float(self.size[1])))
        part = picture.resize((self.resized[0], bottom - top), Image.Resampling.BICUBIC, box=box)
        # One plane after the other: rows of windows then lie in one piece, to be copied at once.
        return torch.from_numpy(np.stack([np.asarray(plane) for plane in part.split()]))


def in_blocks(windows: Iterator[Tensor]) -> Iterator[Tensor]:
    """Windows as batches of at most WINDOWS_AT_ONCE."""
    held = list[Tensor]()
    for window in windows:
        held.append(window)
        if len(held) == WINDOWS_AT_ONCE:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)


def check_count(levels: Sequence[Level], place: str) -> None:
    """Raise DataError where a picture has too many windows; `place` names it."""
    count, size = sum(map(len, levels)), levels[0].size
    if count > MOST_WINDOWS:
        raise DataError(
            explain(
                place,
                "its grid has too many windows",
                found=f"{count:,} windows of a picture of {size[0]} x {size[1]} pixels",
                allowed=f"up to {MOST_WINDOWS:,}",
                next_step="raise `stride` or the smallest of `scales`, or leave the sample out",
            )
        )
