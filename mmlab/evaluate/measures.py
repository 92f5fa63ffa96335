"""What is measured of ranked labels: over all samples, label by label, and in bins."""

from __future__ import annotations

import numpy as np

from mmlab.evaluate import label_metrics
from mmlab.evaluate.label_metrics import Doubles
from mmlab.evaluate.ranked import RankedLabels
from mmlab.records import Confusions, Reliability

#: Bins of equal width in which probabilities are compared with accuracy, as in Guo et al., 2017.
BINS = 15

#: What `measure` may give; the last three of several labels a sample.
METRICS = frozenset(
    {
        "top1",
        "top5",
        "mean_per_class_recall",
        "mean_rank",
        "median_rank",
        "mean_probability",
        "ece",
        "mAP",
        "mAP_absent_as_zero",
        "mean_auroc",
    }
)


def measure(
    ranked: RankedLabels, per_label: dict[str, Doubles], is_multi_label: bool
) -> dict[str, float | None]:
    """Metrics over all samples; a sample with several truths counts by the one ranked best.

    top1 and top5 are shares of samples, the latter None where there are fewer than five labels.
    mean_per_class_recall, mAP and mean_auroc are means over the labels that are some sample's
    truth: every label counts alike, however many samples it has. mAP_absent_as_zero is the mean
    over all labels, where one without samples counts 0: CLIP_benchmark's reading. ece is the
    expected calibration error of the first label's probability, see `measure_reliability`.
    """
    label_count = len(per_label["support"])
    ranks = ranked.rank
    metrics: dict[str, float | None] = {
        "top1": label_metrics.share_within(ranks, 1),
        "top5": label_metrics.share_within(ranks, 5) if label_count >= 5 else None,
        "mean_per_class_recall": label_metrics.mean_over_present(
            per_label["recall"], per_label["support"]
        ),
        "mean_rank": float(ranks.mean(dtype=np.float64)),
        "median_rank": float(np.median(ranks)),
        "mean_probability": float(ranked.probability.mean(dtype=np.float64)),
        "ece": calibration_error(measure_reliability(ranked)),
    }
    return {**metrics, **(_multi_label(per_label) if is_multi_label else {})}


def _multi_label(per_label: dict[str, Doubles]) -> dict[str, float | None]:
    precisions = per_label.get("average_precision")
    if precisions is None:
        return {"mAP": None, "mAP_absent_as_zero": None, "mean_auroc": None}
    return {
        "mAP": label_metrics.mean_over_defined(precisions),
        "mAP_absent_as_zero": float(np.nan_to_num(precisions).mean()),
        "mean_auroc": label_metrics.mean_over_defined(per_label["auroc"]),
    }


def measure_labels(ranked: RankedLabels, label_count: int) -> dict[str, Doubles]:
    """Measures of each label id, NaN where no sample has the label as a truth (support is 0).

    precision is NaN where no sample predicts the label instead. There is no average_precision and
    no auroc where the scores were too many to keep.
    """
    truths = ranked.truth_ranks
    measures = {
        "support": label_metrics.support(truths, label_count),
        "recall": label_metrics.recall(truths, label_count),
        "precision": label_metrics.precision(truths, ranked.first, label_count),
        "mean_rank": label_metrics.mean_rank(truths, label_count),
        "median_rank": label_metrics.median_rank(truths, label_count),
        "mean_probability": label_metrics.mean_probability(truths, label_count),
    }
    if ranked.scores is not None:
        measures |= label_metrics.order_measures(ranked.scores, truths)
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
    share 0.8 is right. A sample is right where its first label is any of its truths.
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
