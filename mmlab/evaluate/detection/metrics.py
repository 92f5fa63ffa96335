"""Metrics of object detection as COCO defines them: average precision and average recall.

Per label and size, from matched boxes; NaN where a label has no true box of the size, so that means
leave it out. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmlab.evaluate.detection.boxes import Bools, Detections, Integers, TrueBoxes
from mmlab.evaluate.detection.matching import LARGEST_COUNT, SIZES, THRESHOLDS, Matches, match
from mmlab.metric import SHARE, Metric
from mmlab.records import Doubles, Floats

#: Levels of recall at which precision is read: 0, 0.01, ... 1.
RECALLS = np.linspace(0.0, 1.0, 101)
#: Boxes of a picture and label of which recall is told.
COUNTS = (1, 10, LARGEST_COUNT)

#: What `measure` gives. Only found@0.5 is a mean over true boxes, so that it has an interval.
METRICS = (
    Metric("AP50:95", "higher", SHARE),
    Metric("AP50", "higher", SHARE),
    Metric("AP75", "higher", SHARE),
    *(Metric(f"AP_{size}", "higher", SHARE) for size in list(SIZES)[1:]),
    *(Metric(f"AR@{count}", "higher", SHARE) for count in COUNTS),
    *(Metric(f"AR_{size}", "higher", SHARE) for size in list(SIZES)[1:]),
    Metric("found@0.5", "higher", SHARE, mean_of="outcome"),
)
#: What `measure_labels` gives.
LABEL_METRICS = (
    Metric("support", unit="boxes"),
    Metric("AP50:95", "higher", SHARE),
    Metric("AP50", "higher", SHARE),
    Metric("AR@100", "higher", SHARE),
)


@dataclass(frozen=True)
class Curves:
    """Of S sizes, T thresholds and C labels: average precision (S, T, C), and recall (K, S, T, C).

    Average precision is the mean over RECALLS of the best precision at that recall or a higher one.
    Recall is the share of true boxes found by the first COUNTS[k] boxes of each picture and label.
    `support` (S, C) counts the true boxes that are to be found. NaN where there are none.
    """

    precision: Doubles
    recall: Doubles
    support: Integers


def measure(curves: Curves, is_found: Bools) -> dict[str, float | None]:
    """Means over labels, thresholds and sizes; None where no label has a true box of the size.

    AP50:95 is the mean over ten thresholds of IoU, AP50 and AP75 are of one of them; by size, a
    box of another size is neither missed nor wrong. AR is the mean over thresholds of the recall.
    Every label counts alike, however many boxes it has. found@0.5 is the share of the true boxes
    that are found at an IoU of 0.5, all labels together: the mean of `is_found`.
    """
    sizes, metrics = list(SIZES), dict[str, float | None]()
    metrics["AP50:95"] = _mean(curves.precision[0])
    metrics["AP50"] = _mean(curves.precision[0, 0])
    metrics["AP75"] = _mean(curves.precision[0, 5])
    metrics |= {f"AP_{sizes[at]}": _mean(curves.precision[at]) for at in (1, 2, 3)}
    metrics |= {f"AR@{count}": _mean(curves.recall[at, 0]) for at, count in enumerate(COUNTS)}
    metrics |= {f"AR_{sizes[at]}": _mean(curves.recall[-1, at]) for at in (1, 2, 3)}
    metrics["found@0.5"] = float(is_found.mean()) if len(is_found) else None
    return metrics


def measure_labels(curves: Curves) -> Mapping[str, Floats]:
    """The same of each label, (C,), NaN where it has no true box; and how many it has."""
    values = {
        "support": curves.support[0],
        "AP50:95": curves.precision[0].mean(0),
        "AP50": curves.precision[0, 0],
        "AR@100": curves.recall[-1, 0].mean(0),
    }
    return {name: each.astype(np.float32) for name, each in values.items()}


def find_boxes(matches: Matches, truths: TrueBoxes) -> Bools:
    """Whether each true box that need be found is found at the first threshold; those alone."""
    is_found = np.zeros(len(truths), bool)
    is_found[matches.truth[matches.truth >= 0]] = True
    return is_found[~truths.is_ignored]


def detection_curves(found: Detections, truths: TrueBoxes, label_count: int) -> Curves:
    """Match boxes and measure every label, size and threshold."""
    return curves_of(match(found, truths), found, truths, label_count)


def curves_of(matches: Matches, found: Detections, truths: TrueBoxes, label_count: int) -> Curves:
    """Curves of boxes that are matched at the sizes SIZES and the thresholds THRESHOLDS.

    Boxes of a label are ordered by score over all pictures, equal ones as the pictures are.
    """
    wanted = [truths.label[~each] for each in matches.truth_is_ignored]
    support = np.array([np.bincount(each, minlength=label_count) for each in wanted])
    shape = len(SIZES), len(THRESHOLDS), label_count
    precision, recall = np.full(shape, np.nan), np.full((len(COUNTS), *shape), np.nan)
    labels, every_right, every_wrong = (
        found.label[matches.index],
        matches.is_right,
        matches.is_wrong,
    )
    order = np.lexsort((-found.score[matches.index], labels))
    ends = np.searchsorted(labels[order], np.arange(label_count + 1))
    for label in np.flatnonzero(support.any(0)):
        own = order[ends[label] : ends[label + 1]]
        is_right, is_wrong = every_right[:, :, own], every_wrong[:, :, own]
        count = np.where(support[:, label] > 0, support[:, label], np.nan)
        precision[:, :, label] = _average_precision(is_right, is_wrong, count)
        for at, most in enumerate(COUNTS):
            hits = is_right[:, :, matches.place[own] < most].sum(-1)
            recall[at, :, :, label] = hits / count[:, None]
    return Curves(precision, recall, support)


def _average_precision(is_right: Bools, is_wrong: Bools, count: Doubles) -> Doubles:
    """Average precision (S, T) of boxes (S, T, n) from the surest on; count (S,) of true boxes."""
    right, wrong = is_right.cumsum(-1, dtype=np.float64), is_wrong.cumsum(-1, dtype=np.float64)
    precision = right / (right + wrong + np.spacing(1))
    best = np.maximum.accumulate(precision[..., ::-1], -1)[..., ::-1]
    best = np.concatenate([best, np.zeros((*best.shape[:2], 1))], -1)
    recall = right / count[:, None, None]
    values = np.full(best.shape[:2], np.nan)
    for size in np.flatnonzero(~np.isnan(count)):
        for at, one in enumerate(recall[size]):
            values[size, at] = best[size, at][np.searchsorted(one, RECALLS, side="left")].mean()
    return values


def _mean(values: Doubles) -> float | None:
    """Mean over what is defined; None where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None
