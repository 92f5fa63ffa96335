"""The pointing game: does the place that a model is surest of lie on the thing?"""

from __future__ import annotations

import numpy as np

from mmlab.evaluate.detection.boxes import Bools, Integers, TrueBoxes
from mmlab.metric import SHARE, Metric
from mmlab.records import Doubles

#: A row of results is a picture and a label that it has; outcomes are hits.
METRICS = (
    Metric("hits", "higher", SHARE, mean_of="outcome"),
    Metric("mean_hits", "higher", SHARE),
)


def point(truths: TrueBoxes, points: Doubles) -> tuple[Integers, Integers, Bools]:
    """Picture and label of each pair that is asked about, and whether the point hits, all (n,).

    points (pictures, C, 2) as (x, y) is where each label is surest. Asked are the labels of each
    picture that have a box that is to be found; a hit lies in any box of the label, its edge
    included, difficult ones and crowds too. No distance around a box is forgiven.
    Source: Zhang et al., arXiv:1608.00507, section 4.1, who forgive 15 pixels.
    """
    x, y = points[truths.picture, truths.label].T
    x0, y0, x1, y1 = truths.box.T
    is_in = (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)
    pairs, inverse = np.unique(
        np.stack([truths.picture, truths.label], 1), axis=0, return_inverse=True
    )
    asked, hits = np.zeros(len(pairs), bool), np.zeros(len(pairs), bool)
    np.logical_or.at(asked, inverse.reshape(-1), ~truths.is_ignored)
    np.logical_or.at(hits, inverse.reshape(-1), is_in)
    picture, label = pairs[asked].T
    return picture, label, hits[asked]


def hits_of_labels(label: Integers, hits: Bools, label_count: int) -> Doubles:
    """The share of hits of each label, (C,), NaN where nothing asks about it."""
    counts = np.bincount(label, minlength=label_count)
    shares = np.full(label_count, np.nan)
    np.divide(np.bincount(label, hits, label_count), counts, out=shares, where=counts > 0)
    return shares
