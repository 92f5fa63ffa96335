"""Boxes from scores of a vision transformer's patches: maps, their peaks and what lies around."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from mmlab.evaluate.detection.suppress import Candidates
from mmlab.records import Doubles

#: How many times finer a map is made before its peaks are looked at, by bilinear interpolation.
FINER = 4


def upsampled(scores: Doubles, grid: tuple[int, int]) -> Doubles:
    """Maps of scores (rows * columns, C) -> (C, FINER * rows, FINER * columns)."""
    maps = torch.from_numpy(scores).T.reshape(1, scores.shape[1], *grid)
    size = grid[0] * FINER, grid[1] * FINER
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0].numpy()


def of_peaks(maps: Doubles, frame: Doubles, level: float) -> Candidates:
    """A box around each connected part of a label's map (C, h, w) that stands near its peak.

    Near is above `level` of the way from the map's least to its largest value. The score of a box
    is the largest value in it. Parts connect by edges and corners. `frame` (4,) is where the whole
    map lies in the picture.
    """
    from scipy import ndimage  # only here

    boxes, labels, scores = list[tuple[float, ...]](), list[int](), list[float]()
    for label, one in enumerate(maps):
        least, most = float(one.min()), float(one.max())
        parts, count = ndimage.label(one >= least + level * (most - least), np.ones((3, 3)))
        values = ndimage.maximum(one, parts, range(1, count + 1))
        for (rows, columns), value in zip(ndimage.find_objects(parts), values, strict=True):
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            labels.append(label)
            scores.append(float(value))
    found = np.array(boxes, np.float64).reshape(-1, 4)
    return Candidates(
        placed(found, maps.shape[1:], frame), np.array(labels, np.int64), np.array(scores)
    )


def placed(boxes: Doubles, size: tuple[int, ...], frame: Doubles) -> Doubles:
    """Boxes (n, 4) in cells of a map of `size` (rows, columns), in pixels of the picture."""
    cell = np.divide(frame[2:] - frame[:2], size[::-1])
    result: Doubles = boxes * np.tile(cell, 2) + np.tile(frame[:2], 2)
    return result


def peaks(maps: Doubles, frame: Doubles) -> Doubles:
    """The middle of the cell where each map (C, h, w) is largest, (C, 2) as (x, y) in pixels."""
    at = maps.reshape(len(maps), -1).argmax(1)
    rows, columns = np.divmod(at, maps.shape[2])
    cells = np.stack([columns, rows, columns + 1, rows + 1], 1).astype(np.float64)
    boxes = placed(cells, maps.shape[1:], frame)
    return (boxes[:, :2] + boxes[:, 2:]) / 2
