"""The results of a detection: boxes that were found, and points that hit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmlab.evaluate.detection import metrics as box_metrics
from mmlab.evaluate.detection.boxes import Detections, TrueBoxes
from mmlab.evaluate.detection.choose import precision_and_recall
from mmlab.evaluate.detection.matching import Matches, match
from mmlab.evaluate.detection.pointing import hits_of_labels, point
from mmlab.evaluate.detection.scene import Crops, Scenes
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import ProtocolQuestion, make_protocol
from mmlab.metric import SHARE, Metric
from mmlab.records import BoxResults, Doubles, EvaluationResult, Floats, SampleResults

#: What `found_result` gives.
METRICS = (
    *box_metrics.METRICS,
    Metric("precision@0.5", "higher", SHARE),
    Metric("f1@0.5", "higher", SHARE),
)


@dataclass(frozen=True)
class About:
    """What a result says beside its numbers."""

    name: str
    encoded: Encoded
    scenes: Scenes
    subject: dict[str, object]

    def result(
        self,
        question: ProtocolQuestion,
        condition: str,
        metrics: dict[str, float | None],
        samples: SampleResults,
    ) -> EvaluationResult:
        """A result whose rows are those of `samples`."""
        protocol = make_protocol(question, self.encoded, self.scenes.ids, condition)
        return EvaluationResult(
            name=self.name,
            evaluator=question.evaluator,
            condition=condition,
            split=self.encoded.split,
            dataset_revision=self.encoded.dataset.revision,
            protocol=protocol,
            subject=self.subject,
            metrics=metrics,
            skipped=len(self.encoded.ids) - len(self.scenes),
            labels=question.labels,
            templates=question.templates,
            samples=samples,
        )


def found_metrics(
    found: Detections, truths: TrueBoxes, label_count: int
) -> tuple[Matches, box_metrics.Curves, dict[str, float | None]]:
    """Matches, curves and metrics of detections."""
    matches = match(found, truths)
    curves = box_metrics.curves_of(matches, found, truths, label_count)
    metrics = box_metrics.measure(curves, box_metrics.find_boxes(matches, truths))
    precision, _, f1 = precision_and_recall(found, truths)
    return matches, curves, {**metrics, "precision@0.5": precision, "f1@0.5": f1}


def box_rows(crops: Crops, truths: TrueBoxes, found: Detections, matches: Matches) -> SampleResults:
    """A row for each true box that is to be found: a hit where a box of its label found it.

    Its rank is the place of that box among the found ones of the picture and label, its probability
    that box's score. `crops` names the rows.
    """
    rank, score = np.zeros(len(truths), np.int32), np.full(len(truths), np.nan, np.float32)
    is_hit = matches.truth >= 0
    rank[matches.truth[is_hit]] = matches.place[is_hit] + 1
    score[matches.truth[is_hit]] = found.score[matches.index[is_hit]]
    asked = ~truths.is_ignored
    return _rows(crops.ids, truths.label[asked].tolist(), crops.clusters, rank[asked], score[asked])


def box_results(
    scenes: Scenes, truths: TrueBoxes, found: Detections, matches: Matches
) -> BoxResults:
    """Every box that was found and every one that is there."""
    truth = np.full(len(found), -1, np.int32)
    first = np.searchsorted(truths.picture, np.arange(len(scenes)))  # each picture's first box
    is_some = matches.truth >= 0
    of = matches.truth[is_some]
    truth[matches.index[is_some]] = of - first[truths.picture[of]]
    order = np.lexsort((-found.score, found.picture))
    return BoxResults(
        samples=scenes.ids,
        sample=found.picture[order].astype(np.int32),
        label=found.label[order].astype(np.int32),
        box=found.box[order],
        score=found.score[order],
        truth=truth[order],
        true_sample=truths.picture.astype(np.int32),
        true_label=truths.label.astype(np.int32),
        true_box=truths.box,
        true_area=truths.area,
        is_crowd=truths.crowd,
        is_difficult=truths.difficult,
    )


def point_rows(
    scenes: Scenes, truths: TrueBoxes, points: Doubles, label_count: int
) -> tuple[SampleResults, dict[str, float | None], Floats]:
    """A row for each picture and label in it, the metrics, and the share of hits of each label.

    Something must be there to be found.
    """
    picture, label, hits = point(truths, points)
    each = hits_of_labels(label, hits, label_count)
    names = [
        f"{scenes.ids[scene]}#{scenes.dataset.labels[one]}"
        for scene, one in zip(picture, label, strict=True)
    ]
    clusters = [scenes.clusters[scene] for scene in picture]
    nothing = np.full(len(hits), np.nan, np.float32)
    rows = _rows(names, label.tolist(), clusters, hits.astype(np.int32), nothing)
    metrics: dict[str, float | None] = {
        "hits": float(hits.mean()),
        "mean_hits": float(np.nanmean(each)),
    }
    return rows, metrics, each.astype(np.float32)


def _rows(
    ids: list[str], labels: list[int], clusters: list[str], rank: np.ndarray, score: np.ndarray
) -> SampleResults:
    count = len(ids)
    return SampleResults(
        ids=ids,
        truths=[(label,) for label in labels],
        rank=rank,
        probability=score,
        top_label=np.full(count, -1, np.int32),
        top_probability=np.full(count, np.nan, np.float32),
        has_tie=np.zeros(count, bool),
        outcome=(rank > 0).astype(np.float32),
        clusters=clusters,
    )
