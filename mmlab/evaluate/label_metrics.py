"""Measures of each label, from the rank of every truth and from the scores of all samples.

Each gives one float64 value per label id, NaN where the label is the truth of no sample, so that
a mean over labels can leave those out. Sums are in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.records import Floats

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TruthRanks:
    """One row per pair of a sample and a true label of it: which, and the label's rank from 1."""

    sample: Integers
    label: Integers
    rank: Integers


def support(truths: TruthRanks, label_count: int) -> Doubles:
    """Number of samples that have the label; 0 where none has."""
    return np.bincount(truths.label, minlength=label_count).astype(np.float64)


def recall(truths: TruthRanks, label_count: int) -> Doubles:
    """Share of the label's samples in which it is found: ranked among the first n of n truths.

    With one truth per sample that is the share ranked first, the usual recall; with several, a
    sample can find all of its labels. Every label has the same chance to be found whatever the
    number of truths, so values of different labels and runs compare.
    """
    truth_counts = np.bincount(truths.sample)
    is_found = truths.rank <= truth_counts[truths.sample]
    return _mean_by_label(truths, is_found, label_count)


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
    """Average precision of the label when its scores order all samples; 1 is best.

    scores (C, n) are label-major. The mean, over the label's samples, of the precision among all
    samples that score at least as high. Samples of equal score share one precision, so the order of
    the dataset cannot matter, and a label that scores all alike gets the share of its samples.
    """
    values = np.full(len(scores), np.nan)
    order = np.argsort(truths.label, kind="stable")
    samples = truths.sample[order]
    counts = np.bincount(truths.label, minlength=len(scores))
    ends = np.cumsum(counts)
    for label in np.flatnonzero(counts):
        own = samples[ends[label] - counts[label] : ends[label]]
        values[label] = _average_precision(scores[label], own)
    return values


def mean_over_present(values: Doubles, supports: Doubles) -> float:
    """Mean over the labels that are the truth of at least one sample."""
    return float(values[supports > 0].mean())


def share_within(ranks: Sequence[int] | npt.NDArray[np.integer], k: int) -> float:
    """Share of ranks that are k or better."""
    return float((np.asarray(ranks) <= k).mean())


def _average_precision(scores: Floats, positives: Integers) -> float:
    found = scores[positives]
    at_least = len(scores) - np.searchsorted(np.sort(scores), found, side="left")
    true_at_least = len(found) - np.searchsorted(np.sort(found), found, side="left")
    return float((true_at_least / at_least).mean())


def _mean_by_label(
    truths: TruthRanks, values: npt.NDArray[np.bool_] | Integers, label_count: int
) -> Doubles:
    sums = np.bincount(truths.label, weights=values, minlength=label_count)
    counts = support(truths, label_count)
    means = np.full(label_count, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
