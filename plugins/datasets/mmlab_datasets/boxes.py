"""Boxes of many pictures in few arrays, and what is wrong with those that are none."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmlab.plugin import Box, Boxes, DataError, message_of

#: Boxes of all pictures of a file; COCO has a million.
MOST_BOXES = 20_000_000
#: How far a box may reach over the picture's edge, in pixels: rounding does it. It is then cut.
OVERHANG = 1.0


class Marks(NamedTuple):
    """What is said of a box beside where it is; an area of NaN is that of the box."""

    label: int
    is_crowd: bool = False
    is_difficult: bool = False
    area: float = math.nan


class BoxTable:
    """The boxes of pictures that count from 0, in 42 bytes each; filled by `add`, in any order.

    `faults` says of a picture why it has no boxes that can be used: the whole message of an error.
    """

    def __init__(self, pictures: int) -> None:
        self.pictures = pictures
        self.faults: dict[int, str] = {}
        self.cut = 0
        self._of = array("q")
        self._corners = array("d")
        self._labels, self._flags, self._areas = array("i"), array("B"), array("d")
        self._order: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._of)

    def add(
        self, picture: int, box: Box, marks: Marks, size: tuple[int, int] | None = None
    ) -> None:
        """Add a box that `is_box`; one that reaches over the edges of `size` is cut there."""
        inside = cut_to(box, size)
        self.cut += inside != box
        self._of.append(picture)
        self._corners.extend(inside)
        self._labels.append(marks.label)
        self._flags.append(marks.is_crowd | marks.is_difficult << 1)
        self._areas.append(marks.area)
        self._order = None

    def check(self, places: Callable[[int], str], sizes: Sequence[tuple[int, int] | None]) -> None:
        """Note as faults pictures whose boxes all lie within [0, 1]: shares, and no pixels."""
        if not len(self):
            return
        largest = np.full(self.pictures, -np.inf)
        corners = np.frombuffer(self._corners).reshape(-1, 4)
        np.maximum.at(largest, np.frombuffer(self._of, np.int64), corners.max(1))
        small = np.flatnonzero((largest <= 1) & np.isfinite(largest)).tolist()
        for picture in (one for one in small if one not in self.faults):
            self.note(picture, places(picture), self.of(picture), sizes[picture])

    def note(self, picture: int, place: str, boxes: Boxes, size: tuple[int, int] | None) -> None:
        """Keep what is wrong with some boxes as the fault of their picture, if anything is."""
        try:
            boxes.check(place, 2**31, size)
        except DataError as error:
            self.faults.setdefault(picture, message_of(error))

    def of(self, picture: int) -> Boxes:
        """The boxes of a picture, in the order in which they came. Raises DataError, its fault."""
        if picture in self.faults:
            raise DataError(self.faults[picture])
        if self._order is None:
            found = np.frombuffer(self._of, np.int64) if self._of else np.zeros(0, np.int64)
            self._order = np.argsort(found, kind="stable")
            self._starts = np.searchsorted(found[self._order], np.arange(self.pictures + 1))
        rows = self._order[self._starts[picture] : self._starts[picture + 1]].tolist()
        corners = tuple(self._box(row) for row in rows)
        return Boxes(
            corners,
            tuple(self._labels[row] for row in rows),
            tuple(bool(self._flags[row] & 1) for row in rows),
            tuple(bool(self._flags[row] & 2) for row in rows),
            tuple(map(_area, corners, (self._areas[row] for row in rows))),
        )

    def labels_of(self, picture: int) -> tuple[int, ...] | None:
        """The labels of a picture's boxes, each once; None where they cannot be used."""
        return None if picture in self.faults else tuple(sorted({*self.of(picture).labels}))

    def digest(self) -> str:
        """A hash of all boxes, and of what is wrong with others."""
        told = hashlib.sha256()
        for column in (self._of, self._corners, self._labels, self._flags, self._areas):
            told.update(column.tobytes())
        told.update(repr(sorted(self.faults)).encode())
        return told.hexdigest()

    def notes(self, place: object) -> list[str]:
        """What a user is told of boxes that were cut."""
        if not self.cut:
            return []
        told = f"reach over the picture's edge by {OVERHANG:g} pixel at most, and are cut there"
        return [f"{place}: {self.cut:,} of {len(self):,} boxes {told}"]

    def _box(self, row: int) -> Box:
        x0, y0, x1, y1 = self._corners[4 * row : 4 * row + 4]
        return x0, y0, x1, y1


def cut_to(box: Box, size: tuple[int, int] | None) -> Box:
    """A box without what reaches over the edges of a picture (width, height), if that is little.

    >>> cut_to((-1.0, 2.0, 9.5, 8.0), (9, 9)), cut_to((-1.0, 2.0, 13.0, 8.0), (9, 9))
    ((0.0, 2.0, 9.0, 8.0), (-1.0, 2.0, 13.0, 8.0))
    """
    ends = size or (math.inf, math.inf)
    within = tuple(min(max(x, 0.0), float(ends[axis % 2])) for axis, x in enumerate(box))
    x0, y0, x1, y1 = within
    is_little = all(abs(a - b) <= OVERHANG for a, b in zip(box, within, strict=True))
    return (x0, y0, x1, y1) if is_little else box


def is_box(box: Box, size: tuple[int, int] | None) -> bool:
    """Whether it is a box of a picture of this size (width, height), once it is cut.

    >>> is_box((0.0, 0.0, 4.0, 4.5), (4, 4)), is_box((2.0, 0.0, 1.0, 4.0), None)
    (True, False)
    """
    width, height = size or (math.inf, math.inf)
    x0, y0, x1, y1 = cut_to(box, size)
    return 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height and x1 < math.inf and y1 < math.inf


def as_number(value: object) -> float:
    """A number as float; NaN for anything else, and for one that no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def as_box(value: object) -> Box | None:
    """Four numbers as floats; None where these are not four, or one is none that a float holds."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) != 4:
        return None
    x0, y0, x1, y1 = map(as_number, value)
    are_numbers = all(isinstance(one, float) or not math.isnan(as_number(one)) for one in value)
    return (x0, y0, x1, y1) if are_numbers else None


def _area(box: Box, area: float) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) if math.isnan(area) else area
