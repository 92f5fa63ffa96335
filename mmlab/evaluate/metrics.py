"""Metrics of ranked labels: over all samples, label by label, and in bins (calibration error).

Measures of each label come from the rank of every truth and from the scores of all samples. Each
gives one float64 value per label id, NaN where the label is the truth of no sample, so that a mean
over labels can leave those out. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmlab.evaluate.ranked import Doubles, Integers, RankedLabels, TruthRanks
from mmlab.metric import MEDIAN_RANK, SHARE, Metric
from mmlab.records import Confusions, Floats, Ints, Reliability

#: Bins of equal width in which probabilities are compared with accuracy, as in Guo et al., 2017.
BINS = 15

#: What `measure` may give; mAP, its other reading and auroc of several labels a sample alone.
#: Samples' outcomes are hits of the first label.
METRICS = (
    Metric("mAP", "higher", SHARE),
    Metric("top1", "higher", SHARE, mean_of="outcome"),
    Metric("top5", "higher", SHARE, mean_of="rank<=5"),
    Metric("mean_per_class_recall", "higher", SHARE),
    Metric("mean_rank", "lower", "rank"),
    Metric("median_rank", "lower", "rank", mean_of=MEDIAN_RANK),
    Metric("mean_probability", "higher", SHARE),
    Metric("ece", "lower"),
    Metric("mAP_absent_as_zero", "higher", SHARE),
    Metric("mean_auroc", "higher", SHARE),
)
#: What `measure_labels` may give.
LABEL_METRICS = (
    Metric("support", unit="samples"),
    Metric("auroc", "higher", SHARE),
    Metric("average_precision", "higher", SHARE),
    Metric("mean_probability", "higher", SHARE),
    Metric("mean_rank", "lower", "rank"),
    Metric("median_rank", "lower", "rank"),
    Metric("precision", "higher", SHARE),
    Metric("recall", "higher", SHARE),
)


def measure(
    ranked: RankedLabels, per_label: dict[str, Doubles], is_multi_label: bool
) -> dict[str, float | None]:
    """Metrics over all samples; a sample with several truths counts by the one ranked best.

    A sample that none of several labels is true of has no truth to rank: it takes no part in top1,
    top5, mean_rank, median_rank and mean_probability, which are None where all samples are so. It
    is a negative of every label in average precision and auroc, and one whose first label is wrong
    in ece.

    top1 and top5 are shares of samples, the latter None where there are fewer than five labels.
    mean_per_class_recall, mAP and mean_auroc are means over the labels that are some sample's
    truth: every label counts alike, however many samples it has. mAP_absent_as_zero is the mean
    over all labels, where one without samples counts 0: CLIP_benchmark's reading. ece is the
    expected calibration error of the first label's probability, see `measure_reliability`.
    """
    label_count = len(per_label["support"])
    metrics: dict[str, float | None] = {
        **rank_metrics(ranked, label_count),
        "mean_per_class_recall": mean_over_present(per_label["recall"], per_label["support"]),
        "ece": calibration_error(measure_reliability(ranked)),
    }
    return {**metrics, **(_multi_label(per_label) if is_multi_label else {})}


def rank_metrics(ranked: RankedLabels, label_count: int) -> dict[str, float | None]:
    """Metrics of the best truth's rank, over the samples that have a truth; see `measure`."""
    has_truth = ranked.rank > 0
    if not has_truth.any():
        return dict.fromkeys(("top1", "top5", "mean_rank", "median_rank", "mean_probability"))
    ranks = ranked.rank[has_truth]
    return {
        "top1": share_within(ranks, 1),
        "top5": share_within(ranks, 5) if label_count >= 5 else None,
        "mean_rank": float(ranks.mean(dtype=np.float64)),
        "median_rank": float(np.median(ranks)),
        "mean_probability": float(ranked.probability[has_truth].mean(dtype=np.float64)),
    }


def _multi_label(per_label: dict[str, Doubles]) -> dict[str, float | None]:
    precisions = per_label.get("average_precision")
    if precisions is None:
        return {"mAP": None, "mAP_absent_as_zero": None, "mean_auroc": None}
    return {
        "mAP": mean_over_defined(precisions),
        "mAP_absent_as_zero": float(np.nan_to_num(precisions).mean()),
        "mean_auroc": mean_over_defined(per_label["auroc"]),
    }


def measure_labels(ranked: RankedLabels, label_count: int) -> dict[str, Doubles]:
    """Measures of each label id, NaN where no sample has the label as a truth (support is 0).

    precision is NaN where no sample predicts the label instead. There is no average_precision and
    no auroc where the scores were too many to keep.
    """
    truths = ranked.truth_ranks
    measures = {
        "support": support(truths, label_count),
        "recall": recall(truths, label_count),
        "precision": precision(truths, ranked.first, label_count),
        "mean_rank": mean_rank(truths, label_count),
        "median_rank": median_rank(truths, label_count),
        "mean_probability": mean_probability(truths, label_count),
    }
    if ranked.scores is not None:
        measures |= order_measures(ranked.scores, truths)
    return measures


def count_confusions(ranked: RankedLabels, label_count: int) -> Confusions:
    """How often each true label met each label ranked first."""
    truths = ranked.truth_ranks
    first = ranked.first[:, 0].astype(np.int64)[truths.sample]
    pairs, counts = np.unique(truths.label * label_count + first, return_counts=True)
    truth, predicted = np.divmod(pairs, label_count)
    return Confusions(*(each.astype(np.int32) for each in (truth, predicted, counts)))


def measure_reliability(ranked: RankedLabels, bins: int = BINS) -> Reliability:
    """Samples in bins of equal width by the probability of the label ranked first.

    In a calibrated model, of the samples that give their first label a probability of 0.8, the
    share 0.8 is right. A sample is right where its first label is any of its truths; one without
    truths never is.
    Source: Guo et al., arXiv:1706.04599, equations 2 to 4; bins (low, high] as there.
    """
    confidence = ranked.top_probability[:, 0].astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)

    def mean(values: Doubles) -> Doubles:
        sums = np.bincount(place, weights=values, minlength=bins)
        means = np.full(bins, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    columns = edges[:-1], edges[1:], mean(confidence), mean((ranked.rank == 1).astype(np.float64))
    low, high, probability, accuracy = (each.astype(np.float32) for each in columns)
    return Reliability(low, high, counts.astype(np.int32), probability, accuracy)


def calibration_error(bins: Reliability) -> float:
    """Expected calibration error: |accuracy - probability| averaged over samples; 0 is best."""
    gaps = np.abs(bins.accuracy.astype(np.float64) - bins.probability)
    shares = bins.count / bins.count.sum()
    return float(np.nansum(gaps * shares))


def support(truths: TruthRanks, label_count: int) -> Doubles:
    """Number of samples that have the label; 0 where none has."""
    return np.bincount(truths.label, minlength=label_count).astype(np.float64)


def recall(truths: TruthRanks, label_count: int) -> Doubles:
    """Share of the label's samples in which it is found: ranked among the first n of n truths.

    With one truth per sample that is the share ranked first, the usual recall; with several, a
    sample can find all of its labels. Every label has the same chance to be found whatever the
    number of truths, so values of different labels and runs compare.
    """
    return _mean_by_label(truths, truths.is_found, label_count)


def precision(truths: TruthRanks, first: Ints, label_count: int) -> Doubles:
    """Share of the label's predictions that are true; NaN where nothing predicts it.

    A sample of n truths predicts the n labels it ranks first: with one truth that is the usual
    precision. `first` (n, m) are the first labels of each sample, m the largest number of truths.
    """
    counts = np.bincount(truths.sample, minlength=len(first))
    is_predicted = np.arange(first.shape[1]) < counts[:, None]
    predicted = np.bincount(first[is_predicted], minlength=label_count)
    found = np.bincount(truths.label[truths.is_found], minlength=label_count)
    return _ratio(found, predicted)


def mean_probability(truths: TruthRanks, label_count: int) -> Doubles:
    """Mean probability of the label over its samples."""
    return _mean_by_label(truths, truths.probability, label_count)


def mean_rank(truths: TruthRanks, label_count: int) -> Doubles:
    """Mean rank of the label over its samples; 1 is best."""
    return _mean_by_label(truths, truths.rank, label_count)


def median_rank(truths: TruthRanks, label_count: int) -> Doubles:
    """Median rank of the label over its samples, the mean of the middle two where they are even."""
    counts = np.bincount(truths.label, minlength=label_count)
    ranks = truths.rank[np.lexsort((truths.rank, truths.label))]  # by label, then by rank
    first = np.cumsum(counts) - counts
    has_samples = counts > 0
    low = ranks[(first + (counts - 1) // 2)[has_samples]]
    high = ranks[(first + counts // 2)[has_samples]]
    medians = np.full(label_count, np.nan)
    medians[has_samples] = (low + high) / 2
    return medians


def order_measures(scores: Floats, truths: TruthRanks) -> dict[str, Doubles]:
    """What the order of all samples by a label's score is worth; scores (C, n) are label-major.

    average_precision, 1 is best: the mean, over the label's samples, of the precision among all
    samples that score at least as high. Samples of equal score share one precision, so the order of
    the dataset cannot matter, and a label that scores all alike gets the share of its samples.

    auroc, 1 is best and 0.5 chance: the probability that a sample with the label scores above one
    without, equal scores counting half. NaN also where every sample has the label.
    """
    precisions, areas = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    samples = truths.sample[np.argsort(truths.label, kind="stable")]
    counts = np.bincount(truths.label, minlength=len(scores))
    ends = np.cumsum(counts)
    for label in np.flatnonzero(counts):
        own = samples[ends[label] - counts[label] : ends[label]]
        precisions[label], areas[label] = _order_measures(scores[label], own)
    return {"average_precision": precisions, "auroc": areas}


def mean_over_present(values: Doubles, supports: Doubles) -> float | None:
    """Mean over the labels that are the truth of at least one sample; None where none is."""
    present = values[supports > 0]
    return float(present.mean()) if len(present) else None


def mean_over_defined(values: Doubles) -> float | None:
    """Mean over the labels that have a value; None where none has."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def share_within(ranks: Sequence[int] | npt.NDArray[np.integer], k: int) -> float:
    """Share of ranks that are k or better."""
    return float((np.asarray(ranks) <= k).mean())


def _order_measures(scores: Floats, positives: Integers) -> tuple[float, float]:
    """Average precision and area under the ROC curve from one sorting of all samples."""
    count, found = len(scores), np.sort(scores[positives])
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, found, side="left")
    true_at_least = len(found) - np.searchsorted(found, found, side="left")
    precision = float((true_at_least / (count - below)).mean())
    if len(found) == count:
        return precision, np.nan
    up_to = np.searchsorted(ordered, found, side="right")
    # Among themselves, P positives make P * P / 2 such pairs, whatever their order.
    pairs = (below.sum() + up_to.sum() - len(found) ** 2) / 2
    return precision, float(pairs / (len(found) * (count - len(found))))


def _mean_by_label(
    truths: TruthRanks, values: npt.NDArray[np.bool_] | Integers | Floats, label_count: int
) -> Doubles:
    sums = np.bincount(truths.label, weights=values, minlength=label_count)
    return _ratio(sums, support(truths, label_count))


def _ratio(sums: npt.NDArray[np.number], counts: npt.NDArray[np.number]) -> Doubles:
    ratios = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=ratios, where=counts > 0)
    return ratios
