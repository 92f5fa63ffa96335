"""The result of somebody else's scores: as an evaluator's own, without what the scores do not say.

Of the first k labels alone, a truth beyond them has no rank. Metrics that would need it are left
out, and so are those of probabilities where scores are none; what stays is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from mmlab.errors import DataError, explain
from mmlab.evaluate.foreign_question import ForeignQuestion
from mmlab.evaluate.label_results import Labelling, make_result
from mmlab.evaluate.rank_labels import KEPT_ELEMENTS
from mmlab.evaluate.ranked import RankedLabels, TrueLabels, TruthRanks, chunks
from mmlab.plugin import Calibration
from mmlab.records import Doubles, EvaluationResult, Floats, Ints, Predictions, ScoreMeaning

#: Stands for the rank of a truth behind the labels that are known.
BEYOND = np.iinfo(np.int32).max

_ORDER_METRICS = ("mAP", "mAP_absent_as_zero", "mean_auroc")


def make_foreign_result(
    labelling: Labelling, asked: ForeignQuestion, found: Predictions, meaning: ScoreMeaning
) -> EvaluationResult:
    """The result of scores of the labelling's samples, in their order.

    Raises DataError for probabilities that are none, and for logits of some labels alone: a softmax
    needs all.
    """
    truths = labelling.encoded.known_truths(labelling.indexes)
    labels = len(labelling.question.labels)
    _check_meaning(labelling, found, meaning, asked.calibration, labels)
    depth = found.label.shape[1]
    whole = depth == labels and len(truths) * labels <= KEPT_ELEMENTS
    ranked = _rank(found, truths, asked, meaning, whole=whole)
    result = make_result(labelling, truths, ranked)
    return _as_known(result, ranked, (depth, labels), meaning)


def _check_meaning(
    labelling: Labelling,
    found: Predictions,
    meaning: ScoreMeaning,
    calibration: Calibration,
    labels: int,
) -> None:
    depth = found.label.shape[1]
    if meaning == "logits" and calibration.kind == "softmax" and depth < labels:
        raise DataError(
            explain(
                found.file,
                "a softmax needs the logits of all labels",
                found=f"the first {depth} of {labels:,}",
                allowed="logits of all labels; or probabilities, or plain scores, of some",
                next_step="say --scores plain, or write probabilities and say so",
            )
        )
    if meaning == "probabilities" and not ((found.score >= 0) & (found.score <= 1)).all():
        row, column = np.argwhere((found.score < 0) | (found.score > 1))[0].tolist()
        sample = labelling.encoded.ids[labelling.indexes[row]]
        label = labelling.question.labels[found.label[row, column]]
        raise DataError(
            explain(
                f"{found.file}: sample {sample!r}, label {label!r}",
                "the score is no probability",
                found=float(found.score[row, column]),
                allowed="0 to 1",
                next_step="correct the file, or say --scores logits or plain",
            )
        )


def _rank(
    found: Predictions,
    truths: TrueLabels,
    asked: ForeignQuestion,
    meaning: ScoreMeaning,
    *,
    whole: bool,
) -> RankedLabels:
    """The labels of each row by (-score, label id), and where its truths stand.

    With `whole` all scores are kept as well.
    """
    depth = found.label.shape[1]
    kept = min(depth, max(asked.k, max(map(len, truths))))
    top = min(depth, asked.k)
    parts = [
        _rank_rows(found.label[rows], found.score[rows], truths[rows], asked, meaning)
        for rows in chunks(len(truths), depth)
    ]
    samples = np.repeat(np.arange(len(truths)), [len(own) for own in truths])
    labels, ranks, values = (
        np.concatenate(x) for x in zip(*(p.truths for p in parts), strict=True)
    )
    best = np.zeros(len(truths), np.int64)
    best[samples] = BEYOND
    np.minimum.at(best, samples, ranks)
    is_best = ranks == best[samples]
    probability = np.full(len(truths), np.nan, np.float32)
    probability[samples[is_best]] = values[is_best]
    return RankedLabels(
        rank=best.astype(np.int32),
        probability=probability,
        has_tie=np.concatenate([part.has_tie for part in parts]),
        first=np.concatenate([part.first[:, :kept] for part in parts]),
        top_label=np.concatenate([part.first[:, :top] for part in parts]),
        top_probability=np.concatenate([part.first_value[:, :top] for part in parts]),
        truth_ranks=TruthRanks(samples, labels, ranks, values.astype(np.float32)),
        scores=np.ascontiguousarray(found.score.T, np.float32) if whole else None,
    )


@dataclass(frozen=True)
class _Part:
    """m rows: `first` labels and their values (m, k); of each truth label, rank and value."""

    first: Ints
    first_value: Floats
    truths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Doubles]
    has_tie: npt.NDArray[np.bool_]


def _rank_rows(
    labels: Ints, scores: Doubles, truths: TrueLabels, asked: ForeignQuestion, meaning: ScoreMeaning
) -> _Part:
    order = np.lexsort((labels, -scores))
    first, ordered = np.take_along_axis(labels, order, 1), np.take_along_axis(scores, order, 1)
    values = _values(ordered, asked.calibration, meaning)
    rows = np.repeat(np.arange(len(truths)), [len(own) for own in truths])
    true = np.array([label for own in truths for label in own], np.int64)
    is_here = first[rows] == true[:, None]  # (truths, k)
    is_known, place = is_here.any(1), is_here.argmax(1)
    rank = np.where(is_known, place + 1, BEYOND)
    value = np.where(is_known, values[rows, place], np.nan)
    return _Part(
        first=first.astype(np.int32),
        first_value=values.astype(np.float32),
        truths=(true, rank, np.full(len(true), np.nan) if meaning == "plain" else value),
        has_tie=_have_ties(ordered, rows, is_known, place),
    )


def _have_ties(
    ordered: Doubles,
    rows: npt.NDArray[np.int64],
    is_known: npt.NDArray[np.bool_],
    place: npt.NDArray[np.intp],
) -> npt.NDArray[np.bool_]:
    """Whether a label that is not true has the score of the best truth; (m,).

    Only labels that are known are seen, and a sample without a known truth has no tie.
    """
    own = np.where(is_known, ordered[rows, place], -np.inf)
    best = np.full(len(ordered), -np.inf)
    np.maximum.at(best, rows, own)
    equal_truths = np.bincount(rows, weights=is_known & (own == best[rows]), minlength=len(ordered))
    equals: npt.NDArray[np.int64] = (ordered == best[:, None]).sum(1)
    has_tie: npt.NDArray[np.bool_] = np.isfinite(best) & (equals > equal_truths)
    return has_tie


def _values(ordered: Doubles, calibration: Calibration, meaning: ScoreMeaning) -> Doubles:
    """What is kept of scores, (m, k), the highest first: probabilities, or as they are."""
    if meaning != "logits":
        return ordered
    logits = calibration.scale * ordered
    if calibration.kind == "sigmoid":
        values: Doubles = expit(logits)
    else:
        values = softmax(logits, axis=1)
    return values


def _as_known(
    result: EvaluationResult, ranked: RankedLabels, sizes: tuple[int, int], meaning: ScoreMeaning
) -> EvaluationResult:
    """The result without what the scores do not say; what is left out is told in its subject."""
    depth, labels = sizes
    lost = set(_unknown_metrics(result.metrics, ranked, depth, labels))
    if meaning == "plain":
        lost |= {"mean_probability", "ece"}
    metrics = {name: value for name, value in result.metrics.items() if name not in lost}
    assert result.samples is not None, "labels were ranked for samples"
    samples = replace(
        result.samples, rank=np.where(ranked.rank == BEYOND, 0, ranked.rank).astype(np.int32)
    )
    if meaning == "plain":
        nothing = np.full(len(ranked.rank), np.nan, np.float32)
        samples = replace(samples, top_probability=nothing)
    known = {"meaning": meaning, "labels": depth, "left_out": sorted(lost & set(result.metrics))}
    return replace(
        result,
        subject={**result.subject, "scores": known},
        metrics=metrics,
        samples=samples,
        label_metrics=dict(_known_label_metrics(result, ranked, depth, meaning)),
        reliability=None if meaning == "plain" else result.reliability,
    )


def _unknown_metrics(
    metrics: Mapping[str, float | None], ranked: RankedLabels, depth: int, labels: int
) -> Iterator[str]:
    """Metrics that hang on ranks or scores of labels behind the first `depth`."""
    if depth < labels:
        yield from _ORDER_METRICS
    if (ranked.rank == BEYOND).any():
        yield from ("mean_rank", "mean_probability", *(["top5"] if depth < 5 <= labels else []))
    if (metrics["median_rank"] or 0) > labels:
        yield "median_rank"
    if _most_truths(ranked) > depth:
        yield "mean_per_class_recall"


def _most_truths(ranked: RankedLabels) -> int:
    return int(np.bincount(ranked.truth_ranks.sample, minlength=1).max())


def _known_label_metrics(
    result: EvaluationResult, ranked: RankedLabels, depth: int, meaning: ScoreMeaning
) -> Iterator[tuple[str, Floats]]:
    """Each label's metrics, NaN where one of its samples ranks it behind the first `depth`."""
    truths, labels = ranked.truth_ranks, len(result.labels)
    is_lost = np.zeros(labels, bool)
    is_lost[truths.label[truths.rank == BEYOND]] = True
    for name, values in result.label_metrics.items():
        if name in ("recall", "precision") and _most_truths(ranked) > depth:
            continue
        if name == "mean_probability" and meaning == "plain":
            continue
        if name in ("mean_rank", "mean_probability"):
            yield name, np.where(is_lost, np.nan, values).astype(np.float32)
        elif name == "median_rank":
            yield name, np.where(values > labels, np.nan, values).astype(np.float32)
        else:
            yield name, values


def left_out(result: EvaluationResult) -> list[str]:
    """The metrics that the scores behind a result do not say."""
    known = result.subject["scores"]
    assert isinstance(known, dict), "as it is made here"
    return list(known["left_out"])
