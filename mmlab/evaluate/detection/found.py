"""What a model finds in one picture: detections and the place where each label is surest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mmlab.evaluate.detection.boxes import Detections
from mmlab.evaluate.detection.suppress import MOST_DETECTIONS, Candidates, of_regions, suppress
from mmlab.evaluate.detection.tokens import of_peaks, peaks, upsampled
from mmlab.evaluate.subject import Piece
from mmlab.plugin import Calibration
from mmlab.records import Doubles

Score = Literal["probability", "similarity"]


@dataclass(frozen=True)
class ScoredRegions:
    """Regions of one picture with scores of all answers, (R, labels and then backgrounds).

    The rest as `Regions` has it.
    """

    boxes: Doubles
    scores: Tensor
    size: tuple[int, int]
    cells: tuple[int, int] | None


@dataclass(frozen=True)
class Found:
    """Detections of one picture, the surest first, and the point (C, 2) of each label.

    A point is (x, y) in pixels, NaN where there is no region.
    """

    detections: Candidates
    points: Doubles


@dataclass(frozen=True)
class Reading:
    """How scores of regions become detections.

    `score` is what a region's label is worth: its probability among all labels and backgrounds, or
    the bare score. `overlap` is the IoU above which the less sure of two boxes of a label goes,
    `level` how near to a map's peak a patch must be.
    """

    calibration: Calibration
    score: Score = "probability"
    overlap: float = 0.5
    level: float = 0.5

    def __call__(
        self, regions: ScoredRegions, label_count: int, backgrounds: Sequence[int]
    ) -> Found:
        """What is found where some of the backgrounds, by their number, are among the answers."""
        values = self.values(regions.scores, label_count, backgrounds)
        if not len(values):
            nothing = of_regions(regions.boxes, values)
            return Found(nothing, np.full((label_count, 2), np.nan))
        if regions.cells is None:
            best = regions.boxes[values.argmax(0)]
            points = (best[:, :2] + best[:, 2:]) / 2
            return Found(suppress(of_regions(regions.boxes, values), self.overlap), points)
        maps, edge = upsampled(values, regions.cells), np.tile(regions.size, 2).astype(float)
        frame = np.concatenate([regions.boxes[0, :2], regions.boxes[-1, 2:]])
        raw = of_peaks(maps, frame, self.level)
        box = np.clip(raw.box, 0.0, edge)
        is_seen = (box[:, :2] < box[:, 2:]).all(1)
        seen = Candidates(box, raw.label, raw.score).take(np.flatnonzero(is_seen))
        return Found(suppress(seen, self.overlap), np.clip(peaks(maps, frame), 0.0, edge[:2]))

    def values(self, scores: Tensor, label_count: int, backgrounds: Sequence[int]) -> Doubles:
        """What each label of each region is worth, (R, C)."""
        columns = [*range(label_count), *(label_count + each for each in backgrounds)]
        chosen = scores[:, columns].double()
        if self.score == "probability" and self.calibration.kind == "softmax":
            chosen = torch.softmax(self.calibration.scale * chosen, 1)
        elif self.score == "probability":
            chosen = torch.sigmoid(self.calibration.scale * chosen + self.calibration.bias)
        return chosen[:, :label_count].numpy()


def as_piece(found: Found) -> Piece:
    """One picture's findings as tensors of one size, to be kept."""
    detections = found.detections
    most = MOST_DETECTIONS
    count = len(detections)
    boxes, scores = torch.zeros(1, most, 4, dtype=torch.float64), torch.zeros(1, most).double()
    labels = torch.full((1, most), -1)
    boxes[0, :count] = torch.from_numpy(detections.box)
    scores[0, :count] = torch.from_numpy(detections.score)
    labels[0, :count] = torch.from_numpy(detections.label)
    points = torch.from_numpy(found.points)[None]
    return Piece(1, {"box": boxes, "score": scores, "label": labels, "point": points})


def from_pieces(pieces: Sequence[Piece], threshold: float) -> tuple[Detections, Doubles]:
    """Detections of all pictures that are as sure as the threshold, and points (pictures, C, 2)."""
    box, score, label, points = (
        torch.cat([piece.tensors[name] for piece in pieces]).numpy()
        for name in ("box", "score", "label", "point")
    )
    is_there = (label >= 0) & (score >= threshold)
    picture = np.nonzero(is_there)[0]
    return Detections(picture, label[is_there], box[is_there], score[is_there]), points
