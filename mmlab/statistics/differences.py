"""Differences between two recipes, paired on the same samples or not, and whether they are real."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from mmlab.statistics.crossed import MeanSquares, measure
from mmlab.statistics.estimates import (
    FEWEST_DIFFERING,
    UPPER,
    Array,
    Covers,
    Estimate,
    Scale,
    are_uneven,
    covers_of,
    differing,
    fewest_clusters,
    judge_width,
    no_estimate,
    without_seeds,
    without_spread,
)
from mmlab.statistics.means import estimate_mean
from mmlab.statistics.paired import DifferenceLimits, paired_limits
from mmlab.statistics.shares import estimate_share
from mmlab.statistics.variance import SeedScatter

TOO_FEW_DIFFERENCES = "too few differences to tell"
ONE_SEED = "more seeds of the side that has one; they are not in it"


@dataclass(frozen=True)
class Difference:
    """A mean difference, left minus right, with its 95 % confidence interval where one holds.

    `seeds` are those of left and right. `p_value` is two-sided, from the interval's own t; None for
    unpaired differences, and where there is no interval. `differing` counts the clusters in which
    the two differ. The other fields are an `Estimate`'s.
    """

    value: float
    low: float | None
    high: float | None
    covers: Covers
    seeds: tuple[int, int]
    samples: int
    clusters: int
    p_value: float | None = None
    differing: int | None = None
    reason: str | None = None
    advice: str | None = None

    @property
    def is_real(self) -> bool:
        """Whether the interval excludes 0 and nothing marks it as one that cannot tell."""
        if self.low is None or self.high is None or self.reason == TOO_FEW_DIFFERENCES:
            return False
        return self.low > 0 or self.high < 0


def paired_difference(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
    scatter: SeedScatter | None = None,
) -> Difference:
    """Left minus right, both (seeds, samples) of outcomes on the same samples in one order.

    They may differ in their seeds. `scale` and `clusters` as in `estimate_share`; `scatter` is the
    `board_scatter` of all that is compared, three recipes at least.
    """
    sides = measure(left, clusters), measure(right, clusters)
    squares = sides[0].squares
    value = float(sides[0].squares.mean - sides[1].squares.mean)
    sizes = int(squares.samples), int(squares.clusters)
    seeds = int(squares.seeds), int(sides[1].squares.seeds)
    uneven = are_uneven(clusters, sizes[0])
    absent = no_estimate(value, min(seeds), *sizes, fewest_clusters(scale), uneven=uneven)
    if absent is None and scale == "unbounded":
        absent = _without_spread(value, min(seeds), *sizes, sides[0].profile - sides[1].profile)
    if absent is None and scale == "unbounded" and sorted(seeds) == [1, 2] and scatter is None:
        absent = without_seeds(value, min(seeds), *sizes)
    if absent is not None:
        return of_estimate(absent, seeds)
    found = paired_limits(*sides, scale, scatter)
    differ = int(np.count_nonzero(sides[0].profile != sides[1].profile))
    reason, advice = _judge(found, squares, seeds, differ, scale)
    return Difference(
        value=value,
        low=float(found.low),
        high=float(found.high),
        covers=covers_of(min(seeds)),
        seeds=seeds,
        samples=sizes[0],
        clusters=sizes[1],
        p_value=float(found.p_value),
        differing=differ,
        reason=reason,
        advice=advice,
    )


def _without_spread(
    value: float, seeds: int, samples: int, clusters: int, differences: Array
) -> Estimate | None:
    """The absent interval of differences without bounds that are nearly all equal."""
    count = differing(differences)
    if count >= FEWEST_DIFFERING:
        return None
    absent = without_spread(value, seeds, samples, clusters)
    return replace(absent, reason=TOO_FEW_DIFFERENCES)


def _judge(
    found: DifferenceLimits,
    squares: MeanSquares,
    seeds: tuple[int, int],
    differ: int,
    scale: Scale,
) -> tuple[str | None, str | None]:
    """What marks a difference, if anything does, and what would help."""
    if scale != "unbounded" and differ < FEWEST_DIFFERING:
        return TOO_FEW_DIFFERENCES, f"{differ} of {int(squares.clusters)} differ"
    if min(seeds) == 1 < max(seeds):
        return None, ONE_SEED
    quantile = float(stdtrit(squares.clusters - 1, UPPER))
    alone = 2 * quantile * float(found.sample_error)
    width = float(found.high - found.low)
    return judge_width(width, alone, min(seeds), scale)


def unpaired_difference(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    clusters: tuple[npt.ArrayLike | None, npt.ArrayLike | None] = (None, None),
    *,
    scale: Scale = "share",
    scatter: SeedScatter | None = None,
) -> Difference:
    """Left minus right, each (seeds, samples) on samples of its own, from the intervals of both.

    Distances to the limits are joined by squares: Newcombe, Statistics in Medicine 17 (1998),
    873-890, method 10, here with intervals that crossed seeds and clusters are in. `samples` and
    `clusters` are the fewer of both. On the same samples `paired_difference` tells more.
    """
    sides = [
        _estimate_side(outcomes, ids, scale, scatter)
        for outcomes, ids in zip((left, right), clusters, strict=True)
    ]
    one, other = sides
    value, seeds = one.value - other.value, (one.seeds, other.seeds)
    absent = next((side for side in sides if side.covers == "none"), None)
    if absent is not None:
        return replace(of_estimate(absent, seeds), value=value)
    low, high = unpaired_limits(_three(one), _three(other))
    return Difference(
        value=value,
        low=float(low),
        high=float(high),
        covers=covers_of(min(seeds)),
        seeds=seeds,
        samples=min(one.samples, other.samples),
        clusters=min(one.clusters, other.clusters),
        reason=one.reason or other.reason,
        advice=one.advice or other.advice,
    )


def unpaired_limits(
    left: tuple[Array, Array, Array], right: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    """The limits of left minus right, each given as its mean, its lower and its upper limit."""
    (mean, low, high), (other, other_low, other_high) = left, right
    below = np.hypot(mean - low, other_high - other)
    above = np.hypot(high - mean, other - other_low)
    return mean - other - below, mean - other + above


def _three(side: Estimate) -> tuple[Array, Array, Array]:
    assert side.low is not None
    assert side.high is not None
    return np.asarray(side.value), np.asarray(side.low), np.asarray(side.high)


def _estimate_side(
    outcomes: npt.ArrayLike,
    clusters: npt.ArrayLike | None,
    scale: Scale,
    scatter: SeedScatter | None,
) -> Estimate:
    if scale == "unbounded":
        return estimate_mean(outcomes, clusters, scatter=scatter)
    return estimate_share(outcomes, clusters, scale=scale, scatter=scatter)


def of_estimate(absent: Estimate, seeds: tuple[int, int]) -> Difference:
    """A difference without an interval, for the reason that an estimate has none."""
    return Difference(
        value=absent.value,
        low=None,
        high=None,
        covers="none",
        seeds=seeds,
        samples=absent.samples,
        clusters=absent.clusters,
        reason=absent.reason,
        advice=absent.advice,
    )
