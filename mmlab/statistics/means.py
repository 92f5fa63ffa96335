"""Confidence intervals of means without bounds, such as losses: the bootstrap-t over clusters.

Losses are skewed, and Student's interval around the mean of a skewed sample misses on one side. The
bootstrap-t resamples clusters and reads both quantiles of t from the resamples. Source: Hall, The
Bootstrap and Edgeworth Expansion (1992), section 3.5. What seeds add is joined by squares, with
Student's quantile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from mmlab.statistics.crossed import Measured, measure
from mmlab.statistics.estimates import (
    FEWEST_DIFFERING,
    UPPER,
    Array,
    Estimate,
    are_uneven,
    covers_of,
    differing,
    fewest_clusters,
    judge_width,
    no_estimate,
    without_seeds,
    without_spread,
)
from mmlab.statistics.variance import SeedScatter, shrink, variance_of_mean

#: From how many clusters on Student's t serves as well; resamples below.
MANY_CLUSTERS, RESAMPLES = 2000, 2000
#: Resamples whose counts are held at once.
_BLOCK = 250


def bootstrap_t_quantiles(profiles: Array, resamples: int = RESAMPLES) -> tuple[Array, Array]:
    """The lower and upper quantile of t over resampled clusters, of each row of (rows, clusters).

    All rows and all calls see the same resamples, so that equal rows have equal intervals.
    """
    clusters = profiles.shape[1]
    spread = profiles.std(1, keepdims=True)
    scaled = (profiles - profiles.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    stream = np.random.default_rng(clusters)
    blocks = [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]
    found = np.concatenate([_resampled_t(scaled, _counts(stream, n, clusters)) for n in blocks])
    low, high = np.quantile(found, [1 - UPPER, UPPER], axis=0)  # (rows,)
    return low, high


def _counts(stream: np.random.Generator, resamples: int, clusters: int) -> Array:
    """How often each cluster is in each resample, (resamples, clusters)."""
    drawn = stream.integers(0, clusters, (resamples, clusters))
    places = drawn + clusters * np.arange(resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=resamples * clusters)
    return counts.reshape(resamples, clusters).astype(np.float64)


def _resampled_t(scaled: Array, counts: Array) -> Array:
    """The t statistic of each resample, (resamples, rows), of rows whose mean is 0."""
    clusters = scaled.shape[1]
    mean = counts @ scaled.T / clusters
    variance = np.maximum(counts @ np.square(scaled).T / clusters - np.square(mean), 0.0)
    error = np.sqrt(variance / (clusters - 1))
    return np.asarray(mean / np.maximum(error, 1e-9))


def sample_quantiles(profiles: Array, resamples: int = RESAMPLES) -> tuple[Array, Array]:
    """Of t over clusters: the bootstrap's, and Student's where that reaches further.

    Student's alone from 2,000 clusters on. Differences of losses are heavy at both tails, where
    Student's is the wider and the one that holds.
    """
    rows, clusters = profiles.shape
    student = np.full(rows, stdtrit(clusters - 1, UPPER))
    if clusters >= MANY_CLUSTERS:
        return -student, student
    low, high = bootstrap_t_quantiles(profiles, resamples)
    return np.minimum(low, -student), np.maximum(high, student)


@dataclass(frozen=True)
class MeanLimits:
    """Confidence limits of means (rows,), and the width that samples alone leave open."""

    low: Array
    high: Array
    width_alone: Array


def mean_limits(
    measured: Measured, scatter: SeedScatter | None = None, resamples: int = RESAMPLES
) -> MeanLimits:
    """The confidence limits of a stack of means, whose profiles are (rows, clusters)."""
    squares = measured.squares
    variance = variance_of_mean(squares, shrink(squares, "unbounded"), "unbounded", scatter)
    sample_error = measured.profile.std(-1, ddof=1) / np.sqrt(measured.profile.shape[-1])
    of_seeds = np.maximum(variance.total - np.square(sample_error), 0.0)
    seed_half = stdtrit(variance.freedom, UPPER) * np.sqrt(of_seeds)
    low, high = sample_quantiles(measured.profile, resamples)
    ends = joined_limits(squares.mean, sample_error, (low, high), seed_half)
    return MeanLimits(*ends, (high - low) * sample_error)


def joined_limits(
    mean: Array, sample_error: Array, quantiles: tuple[Array, Array], seed_half: Array
) -> tuple[Array, Array]:
    """Limits whose distance to the mean is the root of the summed squares of both parts."""
    below, above = quantiles[1] * sample_error, -quantiles[0] * sample_error
    return mean - np.hypot(below, seed_half), mean + np.hypot(above, seed_half)


def estimate_mean(
    outcomes: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    scatter: SeedScatter | None = None,
) -> Estimate:
    """The mean of outcomes (seeds, samples) that know no bounds, and its interval.

    None below 20 clusters, none where nearly all of these are equal, and none for two seeds without
    a `scatter`, as in `estimate_share`, of outcomes of the same kind.
    """
    measured = measure(outcomes, clusters)
    squares = measured.squares
    mean, seeds = float(squares.mean), int(squares.seeds)
    sizes = int(squares.samples), int(squares.clusters)
    uneven = are_uneven(clusters, sizes[0])
    absent = no_estimate(mean, seeds, *sizes, fewest_clusters("unbounded"), uneven=uneven)
    if absent is None and differing(measured.profile) < FEWEST_DIFFERING:
        absent = without_spread(mean, seeds, *sizes)
    if absent is None and seeds == 2 and scatter is None:
        absent = without_seeds(mean, seeds, *sizes)
    if absent is not None:
        return absent
    found = mean_limits(Measured(measured.profile[None], squares), scatter)
    low, high, alone = (float(one[0]) for one in (found.low, found.high, found.width_alone))
    reason, advice = judge_width(high - low, alone, seeds, "unbounded")
    return Estimate(mean, low, high, covers_of(seeds), seeds, *sizes, reason, advice)
