"""Measures of each label, from the rank of every truth and from the scores of all samples.

Each gives one float64 value per label id, NaN where the label is the truth of no sample, so that
a mean over labels can leave those out. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.records import Floats, Ints

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TruthRanks:
    """One row per pair of a sample and a true label of it: which, and the label's rank from 1."""

    sample: Integers
    label: Integers
    rank: Integers
    #: of the label for the sample
    probability: Floats

    @property
    def is_found(self) -> npt.NDArray[np.bool_]:
        """Whether the label is among the first n of the sample, n being its number of truths."""
        return self.rank <= np.bincount(self.sample)[self.sample]


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


def average_precision(scores: Floats, truths: TruthRanks) -> Doubles:
    """Average precision of the label; see `order_measures`."""
    return order_measures(scores, truths)["average_precision"]


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


def mean_over_present(values: Doubles, supports: Doubles) -> float:
    """Mean over the labels that are the truth of at least one sample."""
    return float(values[supports > 0].mean())


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
