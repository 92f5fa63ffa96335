"""Ranking all labels for every sample: what classification and zero-shot share.

The only difference between the two is where the scores come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmlab.evaluate import faults, label_metrics, ranking
from mmlab.evaluate.data import Encoded
from mmlab.evaluate.label_metrics import TruthRanks
from mmlab.evaluate.protocol import Question, make_protocol
from mmlab.evaluate.thumbnails import make_thumbnails
from mmlab.plugin import Calibration
from mmlab.records import EvaluationResult, Floats, Ints, Rankings, SampleResults

#: Scores kept for measures over all samples of a label (average precision); 512 MB in float32.
KEPT_ELEMENTS = 1 << 27

Truths = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class LabelScores:
    """Scores of all labels for n samples, made some samples at a time; higher is better.

    `rows(slice)` gives (rows, label_count) float32. `width` is how many scores each row costs while
    it is made: the number of labels, or of prompts.
    """

    rows: Callable[[slice], Tensor]
    label_count: int
    width: int
    calibration: Calibration


@dataclass(frozen=True)
class RankedLabels:
    """The labels of n samples, ranked. Fields as in SampleResults; `top_*` are (n, k).

    `scores` (C, n) is None where it would take too much memory.
    """

    rank: Ints
    probability: Floats
    has_tie: npt.NDArray[np.bool_]
    top_label: Ints
    top_probability: Floats
    truth_ranks: TruthRanks
    scores: Floats | None


def rank_labels(scores: LabelScores, truths: Truths, k: int, name: str) -> RankedLabels:
    """Rank every label for every sample; every sample has a truth.

    Memory grows with a chunk of samples, not with all, but for the scores that are kept.
    """
    size = len(truths) * scores.label_count
    kept = None
    if size <= KEPT_ELEMENTS:
        kept = np.empty((scores.label_count, len(truths)), dtype=np.float32)
    parts = []
    for rows in ranking.chunks(len(truths), scores.width):
        chunk = scores.rows(rows)
        faults.check_numbers(chunk, name)
        parts.append(_rank_chunk(chunk, truths[rows], scores.calibration, k, rows.start))
        if kept is not None:
            kept[:, rows] = chunk.T.cpu().numpy()
    return _join(parts, kept)


@dataclass(frozen=True)
class Labelling:
    """Everything a result says beside its numbers."""

    name: str
    question: Question
    encoded: Encoded
    #: Positions in the dataset of the samples that took part.
    indexes: Sequence[int]
    subject: dict[str, object]
    cards: int


def make_result(labelling: Labelling, truths: Truths, ranked: RankedLabels) -> EvaluationResult:
    """The result of ranked labels: metrics, per label and over all, and a row per sample."""
    encoded = labelling.encoded
    ids = [encoded.ids[index] for index in labelling.indexes]
    per_label = measure_labels(ranked, len(labelling.question.labels))
    return EvaluationResult(
        name=labelling.name,
        evaluator=labelling.question.evaluator,
        condition="",
        split=encoded.split,
        dataset_revision=encoded.dataset.revision,
        protocol=make_protocol(labelling.question, encoded, ids),
        subject=labelling.subject,
        metrics=measure(ranked, per_label, encoded.dataset.is_multi_label),
        skipped=len(encoded.ids) - len(ids),
        labels=labelling.question.labels,
        templates=labelling.question.templates,
        samples=_sample_results(ids, truths, ranked),
        rankings=Rankings(ranked.top_label, ranked.top_probability),
        label_metrics={key: values.astype(np.float32) for key, values in per_label.items()},
        thumbnails=make_thumbnails(encoded.dataset, ids, labelling.indexes, labelling.cards),
    )


def measure(
    ranked: RankedLabels, per_label: dict[str, label_metrics.Doubles], is_multi_label: bool
) -> dict[str, float | None]:
    """Metrics over all samples; a sample with several truths counts by the one ranked best.

    top1 and top5 are shares of samples, the latter None where there are fewer than five labels.
    mean_per_class_recall and mAP are means over the labels that are some sample's truth: every
    label counts alike, however many samples it has.
    """
    label_count = len(per_label["support"])
    ranks = ranked.rank
    metrics: dict[str, float | None] = {
        "top1": label_metrics.share_within(ranks, 1),
        "top5": label_metrics.share_within(ranks, 5) if label_count >= 5 else None,
        "mean_per_class_recall": _mean_over_labels(per_label, "recall"),
        "mean_rank": float(ranks.mean(dtype=np.float64)),
        "median_rank": float(np.median(ranks)),
        "mean_probability": float(ranked.probability.mean(dtype=np.float64)),
    }
    if is_multi_label:
        metrics["mAP"] = _mean_over_labels(per_label, "average_precision")
    return metrics


def measure_labels(ranked: RankedLabels, label_count: int) -> dict[str, label_metrics.Doubles]:
    """Measures of each label id, NaN where no sample has the label as a truth (support is 0).

    There is no average_precision where the scores were too many to keep.
    """
    truths = ranked.truth_ranks
    measures = {
        "support": label_metrics.support(truths, label_count),
        "recall": label_metrics.recall(truths, label_count),
        "mean_rank": label_metrics.mean_rank(truths, label_count),
        "median_rank": label_metrics.median_rank(truths, label_count),
    }
    if ranked.scores is not None:
        measures["average_precision"] = label_metrics.average_precision(ranked.scores, truths)
    return measures


def _mean_over_labels(per_label: dict[str, label_metrics.Doubles], key: str) -> float | None:
    if key not in per_label:
        return None
    return label_metrics.mean_over_present(per_label[key], per_label["support"])


def _rank_chunk(
    scores: Tensor, truths: Truths, calibration: Calibration, k: int, first_sample: int
) -> RankedLabels:
    is_truth = _truth_mask(truths, scores)
    best = ranking.first_true(scores, is_truth)
    top = ranking.top_k(scores, k)
    chosen = ranking.probabilities(scores, torch.cat([best[:, None], top], 1), calibration)
    return RankedLabels(
        rank=_ints(ranking.ranks_of(scores, best)),
        probability=_floats(chosen[:, 0]),
        has_tie=ranking.have_ties(scores, best, is_truth).cpu().numpy(),
        top_label=_ints(top),
        top_probability=_floats(chosen[:, 1:]),
        truth_ranks=_truth_ranks(scores, is_truth, first_sample),
        scores=None,
    )


def _truth_mask(truths: Truths, scores: Tensor) -> Tensor:
    """(B, C) bool: which labels are true."""
    rows = [row for row, labels in enumerate(truths) for _ in labels]
    columns = [label for labels in truths for label in labels]
    mask = torch.zeros(scores.shape, dtype=torch.bool)
    mask[rows, columns] = True
    return mask.to(scores.device)


def _truth_ranks(scores: Tensor, is_truth: Tensor, first_sample: int) -> TruthRanks:
    """The rank of every truth of every row, as many truths at a time as there are rows."""
    rows, labels = is_truth.nonzero(as_tuple=True)
    parts = [slice(start, start + len(scores)) for start in range(0, len(rows), len(scores))]
    ranks = torch.cat([ranking.ranks_of(scores[rows[part]], labels[part]) for part in parts])
    sample = (rows + first_sample).cpu().numpy()
    return TruthRanks(sample, labels.cpu().numpy(), ranks.cpu().numpy())


def _join(parts: Sequence[RankedLabels], scores: Floats | None) -> RankedLabels:
    truths = [part.truth_ranks for part in parts]
    return RankedLabels(
        rank=np.concatenate([part.rank for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        has_tie=np.concatenate([part.has_tie for part in parts]),
        top_label=np.concatenate([part.top_label for part in parts]),
        top_probability=np.concatenate([part.top_probability for part in parts]),
        truth_ranks=TruthRanks(
            np.concatenate([part.sample for part in truths]),
            np.concatenate([part.label for part in truths]),
            np.concatenate([part.rank for part in truths]),
        ),
        scores=scores,
    )


def _sample_results(ids: Sequence[str], truths: Truths, ranked: RankedLabels) -> SampleResults:
    return SampleResults(
        ids=ids,
        truths=truths,
        rank=ranked.rank,
        probability=ranked.probability,
        top_label=ranked.top_label[:, 0],
        top_probability=ranked.top_probability[:, 0],
        has_tie=ranked.has_tie,
        outcome=(ranked.rank == 1).astype(np.float32),
    )


def _ints(x: Tensor) -> Ints:
    return x.to(torch.int32).cpu().numpy()


def _floats(x: Tensor) -> Floats:
    return x.float().cpu().numpy()
