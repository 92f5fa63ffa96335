"""Which true box each found box is: the greedy matching of COCO, for many pictures at once.

Of each picture and label, boxes are taken from the surest to the least sure. Each takes the true
box that it overlaps most among those that nobody has taken, if by the threshold or more. A true box
that need not be found is taken only where no other can be; a crowd or a difficult one can be taken
again and again. The first LARGEST_COUNT of a picture and label take part.

Source: Lin et al., arXiv:1405.0312, and its published evaluation (COCOeval of pycocotools), which
this equals; difficult boxes as in Everingham et al., 2010 (the devkit of Pascal VOC).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmlab.evaluate.detection.boxes import Bools, Detections, Integers, TrueBoxes, areas, overlaps
from mmlab.records import Doubles

#: Boxes of one label that may be found in a picture; COCO's.
LARGEST_COUNT = 100
#: IoU from which a box counts as found: 0.5, 0.55, ... 0.95.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: Sizes of objects: name -> least and largest area in square pixels, both included; COCO's.
SIZES: dict[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
#: Overlaps and flags that are held at a time.
CHUNK_ELEMENTS = 1 << 21


@dataclass(frozen=True)
class Matches:
    """What became of n found and m true boxes; S sizes and T thresholds, as they are asked for.

    The found boxes are those that take part, by (picture, label, place): `index` (n,) is where one
    stands among all, `place` (n,) its place from 0 in its picture and label by score. is_matched
    and is_ignored (S, T, n) say which have a true box, and which count as neither right nor wrong.
    truth_is_ignored (S, m). `truth` (n,) is the true box at the first size and threshold, or -1.
    """

    index: Integers
    place: Integers
    is_matched: Bools
    is_ignored: Bools
    truth_is_ignored: Bools
    truth: Integers

    @property
    def is_right(self) -> Bools:
        """Which are true positives, (S, T, n)."""
        return self.is_matched & ~self.is_ignored

    @property
    def is_wrong(self) -> Bools:
        """Which are false positives, (S, T, n)."""
        return ~self.is_matched & ~self.is_ignored


def match(
    found: Detections,
    truths: TrueBoxes,
    sizes: Sequence[tuple[float, float]] = tuple(SIZES.values()),
    thresholds: Doubles = THRESHOLDS,
) -> Matches:
    """Match every found box at every size and threshold."""
    index, place = _places(found)
    boxes, limits = found.box[index], np.asarray(sizes, np.float64)  # (S, 2)
    truth_is_ignored = truths.is_ignored | _outside(truths.area, limits)  # (S, m)
    shape = len(limits), len(thresholds), len(index)
    is_matched, truth = np.zeros(shape, bool), np.full(len(index), -1)
    is_ignored = np.repeat(_outside(areas(boxes), limits)[:, None], shape[1], 1)
    for group in _groups(found.picture[index], found.label[index], truths, shape[0] * shape[1]):
        is_row, rows = group.is_row, group.rows[group.is_row]
        taken, of_ignored = _take(group, boxes, truths, truth_is_ignored, thresholds)
        is_matched[:, :, rows] = (taken >= 0)[:, :, is_row]
        is_ignored[:, :, rows] = np.where(taken >= 0, of_ignored, is_ignored[:, :, group.rows])[
            :, :, is_row
        ]
        picked = np.take_along_axis(group.columns, np.maximum(taken[0, 0], 0), 1)
        truth[rows] = np.where(taken[0, 0] >= 0, picked, -1)[is_row]
    return Matches(index, place, is_matched, is_ignored, truth_is_ignored, truth)


def _places(found: Detections) -> tuple[Integers, Integers]:
    """Positions of the boxes that take part, by (picture, label, -score), and their places."""
    order = np.lexsort((-found.score, found.label, found.picture))
    starts = _starts(found.picture[order], found.label[order])
    counts = np.diff([*starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, counts)
    takes_part = place < LARGEST_COUNT
    return order[takes_part], place[takes_part]


def _starts(picture: Integers, label: Integers) -> Integers:
    """Where each picture and label begins, of rows sorted by both."""
    if not len(picture):
        return np.zeros(0, np.int64)
    changes = (np.diff(picture) != 0) | (np.diff(label) != 0)
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


def _outside(area: Doubles, limits: Doubles) -> Bools:
    """Which areas (n,) are not of each size (S, 2): (S, n)."""
    return (area < limits[:, :1]) | (area > limits[:, 1:])


@dataclass(frozen=True)
class _Group:
    """B pairs of a picture and a label, padded: rows (B, D) of found boxes, columns (B, G)."""

    rows: Integers
    is_row: Bools
    columns: Integers
    is_column: Bools


def _groups(
    picture: Integers, label: Integers, truths: TrueBoxes, settings: int
) -> Iterator[_Group]:
    """Pictures and labels with both found and true boxes, those of like counts together."""
    order = np.lexsort((truths.label, truths.picture))
    starts, columns = _starts(picture, label), _starts(truths.picture[order], truths.label[order])
    places = {
        (int(truths.picture[order[at]]), int(truths.label[order[at]])): number
        for number, at in enumerate(columns)
    }
    pairs = [
        (number, places[key])
        for number, at in enumerate(starts)
        if (key := (int(picture[at]), int(label[at]))) in places
    ]
    if not pairs:
        return
    own, other = np.array(pairs).T
    ends, last = np.append(starts, len(picture)), np.append(columns, len(order))
    count, width = np.diff(ends)[own], np.diff(last)[other]
    for chosen in _alike(count, width, settings):
        rows, is_row = _padded(starts[own[chosen]], count[chosen])
        at, is_column = _padded(columns[other[chosen]], width[chosen])
        yield _Group(rows, is_row, order[at], is_column)


def _alike(count: Integers, width: Integers, settings: int) -> Iterator[Integers]:
    """Groups of like counts of found (count) and true boxes (width), as many as memory holds."""
    order, start = np.lexsort((count, width)), 0
    while start < len(order):
        step = 1
        while start + step < len(order):
            some = order[start : start + 2 * step]
            largest = int(width[some].max()) * max(int(count[some].max()), settings)
            if largest * len(some) > CHUNK_ELEMENTS:
                break
            step *= 2
        yield order[start : start + step]
        start += step


def _padded(starts: Integers, counts: Integers) -> tuple[Integers, Bools]:
    """Positions from each start on, (B, the largest count), 0 where there are no more."""
    places = np.arange(counts.max())
    is_real = places < counts[:, None]
    return np.where(is_real, starts[:, None] + places, 0), is_real


def _take(
    group: _Group,
    boxes: Doubles,
    truths: TrueBoxes,
    truth_is_ignored: Bools,
    thresholds: Doubles,
) -> tuple[Integers, Bools]:
    """The column each found box takes at each size and threshold, and whether that is ignored.

    (S, T, B, D) both; -1 where it takes none.
    """
    columns = group.columns
    iou = overlaps(boxes[group.rows], truths.box[columns], truths.crowd[columns])  # (B, D, G)
    iou[~(group.is_row[:, :, None] & group.is_column[:, None, :])] = -1.0
    again = truths.is_ignored[columns]  # (B, G)
    ignored = truth_is_ignored[:, None, columns]  # (S, 1, B, G)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None, None]  # (T, 1, 1), COCO's guard
    shape = len(truth_is_ignored), len(thresholds), *iou.shape[:2]
    taken, of_ignored = np.full(shape, -1), np.zeros(shape, bool)
    is_free = np.ones((*shape[:3], columns.shape[1]), bool)  # (S, T, B, G)
    for place in np.flatnonzero((iou >= thresholds.min()).any((0, 2))):
        own = np.flatnonzero((iou[:, place] >= thresholds.min()).any(1))
        overlap = iou[own, place]  # (b, G)
        can = (overlap >= least) & (is_free[:, :, own] | again[own])  # (S, T, b, G)
        wanted, other = can & ~ignored[:, :, own], can & ignored[:, :, own]
        has_wanted = wanted.any(-1)
        column = _largest(np.where(has_wanted[..., None], wanted, other), overlap)
        takes = has_wanted | other.any(-1)
        taken[:, :, own, place] = np.where(takes, column, -1)
        of_ignored[:, :, own, place] = takes & ~has_wanted
        s, t, b = np.nonzero(takes)
        is_free[s, t, own[b], column[s, t, b]] = False
    return taken, of_ignored


def _largest(can: Bools, overlap: Doubles) -> Integers:
    """The column of the largest overlap among those that can be taken; of equal ones the last."""
    values = np.where(can, overlap, -1.0)
    last: Integers = can.shape[-1] - 1 - values[..., ::-1].argmax(-1)
    return last
