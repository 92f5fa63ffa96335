"""From scores of regions to detections: class-wise non-maximum suppression (NMS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mmlab.evaluate.detection.boxes import Integers
from mmlab.records import Doubles

#: Candidates of one picture that take part, the surest; detections that are left of them.
MOST_CANDIDATES, MOST_DETECTIONS = 1000, 100


@dataclass(frozen=True)
class Candidates:
    """Boxes of one picture, (n, 4), with a label and a score each, (n,)."""

    box: Doubles
    label: Integers
    score: Doubles

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Integers) -> Candidates:
        """Some of them."""
        return Candidates(self.box[rows], self.label[rows], self.score[rows])

    def above(self, threshold: float) -> Candidates:
        """Those whose score is the threshold or more."""
        return self.take(np.flatnonzero(self.score >= threshold))


def of_regions(boxes: Doubles, scores: Doubles) -> Candidates:
    """Every region with every label: boxes (R, 4), scores (R, C)."""
    count, labels = scores.shape
    return surest(
        Candidates(
            np.repeat(boxes, labels, 0), np.tile(np.arange(labels), count), scores.reshape(-1)
        ),
        MOST_CANDIDATES,
    )


def surest(found: Candidates, most: int) -> Candidates:
    """Those of the highest scores, the surest first; equal ones keep their order."""
    return found.take(np.argsort(-found.score, kind="stable")[:most])


def suppress(found: Candidates, overlap: float) -> Candidates:
    """Without boxes that overlap a surer one of the same label by more than `overlap` (IoU).

    At most MOST_DETECTIONS, the surest first; of equal scores, the first one stands.
    """
    from torchvision.ops import nms  # nothing else here needs torchvision, which takes a second

    found = surest(found, MOST_CANDIDATES)
    if not len(found):
        return found
    # Boxes of different labels are moved apart, so that they do not overlap.
    apart = found.box + (found.label * (found.box.max() - found.box.min() + 1))[:, None]
    ranks = torch.arange(len(found), 0, -1, dtype=torch.float64)  # no ties are left to chance
    kept = np.sort(nms(torch.from_numpy(apart), ranks, overlap).numpy())
    return found.take(kept[:MOST_DETECTIONS])
