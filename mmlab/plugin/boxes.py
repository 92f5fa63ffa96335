"""Bounding boxes of things in a picture (object detection), and where a transform puts them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mmlab.errors import DataError, explain

#: x0, y0, x1, y1 in pixels: x to the right and y downwards from the picture's upper left corner.
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Boxes:
    """Bounding boxes of the things in a sample's picture, column by column; () where it has none.

    `corners` holds (x0, y0, x1, y1) of each in pixels of the picture that the dataset gives, before
    any transform, with 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height. Edges lie between pixels:
    the box of a whole picture is (0, 0, width, height), and the width of a box is x1 - x0. `labels`
    holds one label id each. `crowd` says of a box that it holds many things of its label that
    nobody counted (COCO's iscrowd), `difficult` that finding it counts neither for nor against
    (VOC's difficult): no box unless given. `areas`, in square pixels, sort boxes by size: those of
    the boxes unless given (COCO gives those of the outlines).

    Raises DataError where the columns are not of one length. `check` tells of the rest.
    """

    corners: tuple[Box, ...] = ()
    labels: tuple[int, ...] = ()
    crowd: tuple[bool, ...] = ()
    difficult: tuple[bool, ...] = ()
    areas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Fill in what is left out."""
        count = len(self.corners)
        for name in ("crowd", "difficult"):
            object.__setattr__(self, name, getattr(self, name) or (False,) * count)
        own = tuple((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in self.corners)
        object.__setattr__(self, "areas", self.areas or own)
        for name in ("labels", "crowd", "difficult", "areas"):
            if len(getattr(self, name)) != count:
                raise DataError(_uneven(name, len(getattr(self, name)), count))

    def __len__(self) -> int:
        return len(self.corners)

    def check(self, place: str, label_count: int, size: tuple[int, int] | None = None) -> None:
        """Raise DataError at the first box that is none, or has no label; `place` begins it.

        The number of the box, from 0, follows it where there are several.

        A box is within the picture, `size` is (width, height), where that is known. Boxes that all
        lie within [0, 1] are taken for shares of the picture, which are no pixels.
        """
        for number, fault, found, allowed in self._faults(label_count, size):
            raise DataError(
                explain(
                    place if len(self) == 1 else f"{place}, box {number}",
                    fault,
                    found=found,
                    allowed=allowed,
                    next_step="correct the box where it is written, or leave its sample out",
                )
            )

    def _faults(
        self, label_count: int, size: tuple[int, int] | None
    ) -> Iterator[tuple[int, str, str, str]]:
        width, height = size or (math.inf, math.inf)
        for number, (box, label) in enumerate(zip(self.corners, self.labels, strict=True)):
            x0, y0, x1, y1 = box
            found = f"({', '.join(f'{each:.10g}' for each in box)})"
            if not all(map(math.isfinite, (*box, self.areas[number]))):
                yield number, "it has a coordinate that is no number", found, "finite numbers"
            elif x0 >= x1 or y0 >= y1:
                is_inverted = x0 > x1 or y0 > y1
                fault = "it ends before it begins" if is_inverted else "it is empty"
                yield number, fault, found, "x0 < x1 and y0 < y1, in pixels"
            elif x0 < 0 or y0 < 0 or x1 > width or y1 > height:
                whole = f"0 <= x <= {width} and 0 <= y <= {height}" if size else "0 and more"
                yield number, "it lies outside of the picture", found, whole
            elif self.areas[number] < 0:
                yield number, "its area is below 0", f"{self.areas[number]:.10g}", "0 and more"
            elif not 0 <= label < label_count:
                yield number, "its label id has no label", str(label), f"below {label_count}"
        is_shares = self.corners and all(max(box) <= 1 for box in self.corners)
        if is_shares and min(width, height) > 1:
            last = len(self.corners) - 1
            found = "no coordinate above 1 in any box of the sample"
            yield last, "it is in shares of the picture, it seems", found, "pixels"


@dataclass(frozen=True)
class Placement:
    """Where a transform puts a picture: an affine map of pixel coordinates, without rotation.

    The point (x, y) of the picture lies at (x * scale[0] + shift[0], y * scale[1] + shift[1]) of
    the result; both as `Boxes` count them. What a crop cuts off lies outside of the result, and
    padding outside of the picture. `picture` and `result` are sizes (width, height) in pixels.

        Placement.of(640, 480).shorter_side(224).centred(224, 224)
    """

    picture: tuple[int, int]
    result: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, width: int, height: int) -> Placement:
        """Of a picture that is left as it is."""
        return cls((width, height), (width, height))

    def resized(self, width: int, height: int) -> Placement:
        """And then resized to this size, both sides on their own."""
        x, y = width / self.result[0], height / self.result[1]
        scale = (self.scale[0] * x, self.scale[1] * y)
        return Placement(
            self.picture, (width, height), scale, (self.shift[0] * x, self.shift[1] * y)
        )

    def shorter_side(self, size: int) -> Placement:
        """And then resized so that the shorter side is `size`, as torchvision's `Resize` does."""
        width, height = self.result
        longer = int(size * max(width, height) / min(width, height))
        return self.resized(size, longer) if width <= height else self.resized(longer, size)

    def cropped(self, left: int, top: int, width: int, height: int) -> Placement:
        """And then cut to a window of the result so far; what lies outside of it is padding."""
        shift = (self.shift[0] - left, self.shift[1] - top)
        return Placement(self.picture, (width, height), self.scale, shift)

    def centred(self, width: int, height: int) -> Placement:
        """And then cropped or padded around the middle, as torchvision's `CenterCrop` does."""
        left, top = map(_centre, self.result, (width, height))
        return self.cropped(left, top, width, height)

    def to_result(self, box: Box) -> Box:
        """Where a box of the picture lies in the result; perhaps partly or wholly outside."""
        return self._mapped(box, lambda axis, x: x * self.scale[axis] + self.shift[axis])

    def to_picture(self, box: Box) -> Box:
        """Where a box of the result lies in the picture, cut at the picture's edges."""

        def back(axis: int, x: float) -> float:
            found = (x - self.shift[axis]) / self.scale[axis]
            return min(max(found, 0.0), float(self.picture[axis]))

        return self._mapped(box, back)

    @property
    def seen(self) -> Box:
        """The part of the picture that the result shows."""
        width, height = self.result
        return self.to_picture((0.0, 0.0, float(width), float(height)))

    def _mapped(self, box: Box, each: Callable[[int, float], float]) -> Box:
        x0, y0, x1, y1 = box
        return each(0, x0), each(1, y0), each(0, x1), each(1, y1)


def _centre(side: int, wanted: int) -> int:
    """Where a centred window begins. Python rounds a half to the even number; so does torchvision.

    >>> _centre(9, 4), _centre(4, 9)
    (2, -2)
    """
    return round((side - wanted) / 2) if side >= wanted else -((wanted - side) // 2)


def _uneven(name: str, found: int, count: int) -> str:
    return explain(
        "boxes of a sample",
        f"the column {name} has another length than the boxes",
        found=f"{found} {name} of {count} boxes",
        allowed="one for each box",
        next_step="tell the author of the dataset",
    )
