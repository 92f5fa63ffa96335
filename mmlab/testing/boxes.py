"""Conformance of boxes: those of a dataset's samples, and where an encoder puts a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from mmlab.data.samples import has_boxes
from mmlab.errors import DataError
from mmlab.plugin import Box, Boxes, Dataset, Placement, Sample
from mmlab.testing.tools import require

#: Sizes of pictures, in pixels, that a placement is asked about.
SIZES = ((64, 64), (80, 50), (31, 97), (301, 120))
#: How far an edge may be from where it is said to be, in pixels of the result: half a pixel is lost
#: by rounding sizes, and half by looking at whole pixels.
EDGE = 1.0


def check_boxes(sample: Sample, dataset: Dataset) -> None:
    """Require that the boxes of a sample are within its picture, with labels and flags."""
    boxes = sample.boxes
    if boxes is None:
        return
    require(has_boxes(dataset), f"{sample.id}: it has boxes, but `has_boxes` is not True")
    require(isinstance(boxes, Boxes), f"{sample.id}: boxes must be Boxes or None")
    image = sample.values.get("image")
    require(image is not None, f"{sample.id}: it has boxes, and no image that they are in")
    flags = (*boxes.crowd, *boxes.difficult)
    require(
        all(isinstance(flag, bool) for flag in flags), f"{sample.id}: flags of boxes must be bools"
    )
    size = image.size if isinstance(image, Image.Image) else None
    try:
        boxes.check(sample.id, len(dataset.labels), size)
    except DataError as error:
        require(False, str(error))


def check_placement(encoder: Any) -> None:  # Any: an nn.Module that also keeps the contract
    """Require that a white rectangle comes to lie where `placement` says, for several sizes."""
    for width, height in SIZES:
        name = f"`placement` of {width} x {height} pixels"
        placement = encoder.placement(width, height)
        require(isinstance(placement, Placement), f"{name} must be a Placement")
        require(placement.picture == (width, height), f"{name} must have that size as `picture`")
        box = _middle(placement.seen)
        picture = Image.new("RGB", (width, height))
        x0, y0, x1, y1 = map(int, box)
        ImageDraw.Draw(picture).rectangle((x0, y0, x1 - 1, y1 - 1), fill="white")
        made: Tensor = encoder.transform(picture, False)
        size = tuple(made.shape[:-3:-1])
        require(placement.result == size, f"{name} says {placement.result}; it is {size}")
        said, found = placement.to_result(box), _bright(made)
        error = max(abs(a - b) for a, b in zip(said, found, strict=True))
        require(error <= EDGE, f"{name} puts {box} at {said}, but it comes to lie at {found}")


def _middle(seen: Box) -> Box:
    """The middle of what is seen, half as wide and high, in whole pixels."""
    x0, y0, x1, y1 = seen
    x, y = (x1 - x0) / 4, (y1 - y0) / 4
    return float(int(x0 + x)), float(int(y0 + y)), float(int(x1 - x)), float(int(y1 - y))


def _bright(made: Tensor) -> Box:
    """The box around the pixels of uint8 (3, H, W) that are nearer to white than to black."""
    rows, columns = np.nonzero(made.float().mean(0).numpy() > 127.5)
    require(rows.size > 0, "`transform` makes a white rectangle on black vanish")
    return (
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
    )
