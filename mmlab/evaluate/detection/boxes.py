"""Bounding boxes of many pictures as flat arrays, and the overlap of boxes (IoU).

Boxes are (x0, y0, x1, y1) in pixels, x to the right and y down, with edges between pixels: a box
that covers the picture of width W is from 0 to W.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.records import Doubles

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrueBoxes:
    """What is to be found in the pictures of a split: m boxes, in the order of pictures.

    picture and label (m,) are positions; box (m, 4). `crowd` marks a box around many objects that
    nobody told apart, `difficult` one that nobody needs to find: neither is missed, and what
    is found there is not wrong. `area` (m,) is what counts as the size of the object in square
    pixels: its own pixels where these are known, else its box.
    """

    picture: Integers
    label: Integers
    box: Doubles
    crowd: Bools
    difficult: Bools
    area: Doubles

    def __len__(self) -> int:
        return len(self.picture)

    @property
    def is_ignored(self) -> Bools:
        """Which need not be found."""
        return self.crowd | self.difficult

    @classmethod
    def of(cls, picture: object, label: object, box: object) -> TrueBoxes:
        """Boxes of ordinary objects, as large as their boxes."""
        boxes = np.asarray(box, np.float64).reshape(-1, 4)
        nothing = np.zeros(len(boxes), bool)
        pictures, labels = np.asarray(picture, np.int64), np.asarray(label, np.int64)
        return cls(pictures, labels, boxes, nothing, nothing, areas(boxes))


@dataclass(frozen=True)
class Detections:
    """What was found in the pictures of a split: n boxes with one label and a score each.

    picture and label (n,) are positions, pictures in ascending order; box (n, 4), score (n,),
    higher is surer. Of one picture and label, equal scores keep their order.
    """

    picture: Integers
    label: Integers
    box: Doubles
    score: Doubles

    def __len__(self) -> int:
        return len(self.picture)

    @classmethod
    def of(cls, picture: object, label: object, box: object, score: object) -> Detections:
        """From anything that arrays are made of, in the order of pictures afterwards."""
        pictures = np.asarray(picture, np.int64)
        order = np.argsort(pictures, kind="stable")
        return cls(
            pictures[order],
            np.asarray(label, np.int64)[order],
            np.asarray(box, np.float64).reshape(-1, 4)[order],
            np.asarray(score, np.float64)[order],
        )


def areas(boxes: Doubles) -> Doubles:
    """Areas of boxes (..., 4) in square pixels, (...,)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def overlaps(found: Doubles, truth: Doubles, crowd: Bools) -> Doubles:
    """IoU of boxes, found (..., D, 4) and truth (..., G, 4) -> (..., D, G), from 0 to 1.

    Intersection over union; over the found box's own area where the truth is a crowd (..., G), as
    COCO defines it. 0 of two boxes without area.
    """
    a, b = found[..., :, None, :], truth[..., None, :, :]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    shared = np.where((width > 0) & (height > 0), width * height, 0.0)
    own = areas(a)
    whole = np.where(crowd[..., None, :], own, own + areas(b) - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
