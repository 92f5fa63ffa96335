"""Confidence intervals of shares, and of other means in [0, 1]: Wilson's score interval.

It is taken on the effective sample size, the number of independent samples that would leave the
variance that crossed seeds and clustered samples leave. Sources: Wilson, JASA 22 (1927), 209-212;
effective sizes after Korn and Graubard, Survey Methodology 24 (1998), 193-201, and Franco, Little,
Louis and Slud, Journal of Survey Statistics and Methodology 7 (2019), 334-364.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, stdtrit

from mmlab.statistics.crossed import MeanSquares, measure
from mmlab.statistics.estimates import (
    LEVEL,
    UPPER,
    Array,
    Estimate,
    Scale,
    are_uneven,
    covers_of,
    fewest_clusters,
    judge_width,
    no_estimate,
)
from mmlab.statistics.variance import SeedScatter, shrink, variance_of_mean

#: Up to how many effective hits or misses a limit is Poisson's too.
_RARE = 3.0


@dataclass(frozen=True)
class ShareLimits:
    """Confidence limits of shares (...), in [0, 1], and what they were made of."""

    low: Array
    high: Array
    effective_size: Array
    freedom: Array


def share_limits(
    squares: MeanSquares, scale: Scale = "share", scatter: SeedScatter | None = None
) -> ShareLimits:
    """The limits of a stack of shares. `scatter`: the seeds' of the board, `board_scatter`.

    `scale` is "share" for hits and misses, "bounded" for other outcomes in [0, 1].
    """
    shrunk = shrink(squares, scale)
    variance = variance_of_mean(squares, shrunk, scale, scatter)
    size = shrunk.mean * (1 - shrunk.mean) / variance.total * squares.clusters / shrunk.clusters
    low, high = wilson_limits(squares.mean, size, stdtrit(variance.freedom, UPPER))
    return ShareLimits(low, high, size, variance.freedom)


def wilson_limits(share: Array, size: Array, quantile: Array) -> tuple[Array, Array]:
    """Wilson's limits of shares of an effective size, and Poisson's near 0 and 1; in [0, 1]."""
    low, high = _not_inside_poisson(*_wilson(share, size, quantile), share, size)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def _wilson(share: Array, size: Array, quantile: Array) -> tuple[Array, Array]:
    ratio = np.square(quantile) / size
    centre = (share + ratio / 2) / (1 + ratio)
    half = np.sqrt(quantile**2 / size * (share * (1 - share) + ratio / 4)) / (1 + ratio)
    return centre - half, centre + half


def _not_inside_poisson(low: Array, high: Array, share: Array, size: Array) -> tuple[Array, Array]:
    """Limits of few hits or misses moved out to a Poisson count's, where Wilson's lie inside.

    Source: Brown, Cai and DasGupta, Statistical Science 16 (2001), 101-133, section 4.1.
    """
    hits, misses = share * size, (1 - share) * size
    of_hits, of_misses = _poisson_low(hits) / size, 1 - _poisson_low(misses) / size
    low = np.where(hits <= _RARE, np.minimum(low, of_hits), low)
    return low, np.where(misses <= _RARE, np.maximum(high, of_misses), high)


def _poisson_low(count: Array) -> Array:
    some = count > 1e-9
    return np.where(some, chdtri(2 * np.where(some, count, 1.0), LEVEL) / 2, 0.0)


def estimate_share(
    outcomes: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
    scatter: SeedScatter | None = None,
) -> Estimate:
    """The share of hits among outcomes (seeds, samples), and its interval.

    `clusters` has an id a sample; `scatter` is the `board_scatter` of the rows of one protocol, and
    makes intervals of two to four seeds narrower.
    """
    squares = measure(outcomes, clusters).squares
    if are_uneven(clusters, int(squares.samples)):
        sizes = int(squares.seeds), int(squares.samples), int(squares.clusters)
        absent = no_estimate(float(squares.mean), *sizes, fewest_clusters(scale), uneven=True)
        assert absent is not None
        return absent
    return estimate_shares(squares, scale=scale, scatter=scatter)[0]


def estimate_shares(
    squares: MeanSquares, *, scale: Scale = "share", scatter: SeedScatter | None = None
) -> list[Estimate]:
    """An estimate for each table of a stack, or for the only one."""
    limits = share_limits(squares, scale, scatter)
    alone = share_limits(_without_seeds(squares), scale)
    shape = np.atleast_1d(squares.mean).shape
    columns = [squares.mean, limits.low, limits.high, alone.high - alone.low]
    sizes = [squares.seeds, squares.samples, squares.clusters]
    rows = [np.broadcast_to(column, shape).tolist() for column in columns]
    counts = [np.broadcast_to(size, shape).astype(int).tolist() for size in sizes]
    return [_estimate(scale, *row) for row in zip(*rows, *counts, strict=True)]


def _without_seeds(squares: MeanSquares) -> MeanSquares:
    """As if the seeds' mean were one model's: what the samples alone leave open."""
    one = np.ones_like(squares.seeds)
    none = np.zeros_like(squares.of_seeds)
    of_clusters = squares.of_clusters / squares.seeds
    return MeanSquares(
        squares.mean, none, of_clusters, none, one, squares.clusters, squares.samples
    )


def _estimate(
    scale: Scale,
    share: float,
    low: float,
    high: float,
    width_alone: float,
    seeds: int,
    samples: int,
    clusters: int,
) -> Estimate:
    absent = no_estimate(share, seeds, samples, clusters, fewest_clusters(scale))
    if absent is not None:
        return absent
    reason, advice = judge_width(high - low, width_alone, seeds, scale)
    return Estimate(share, low, high, covers_of(seeds), seeds, samples, clusters, reason, advice)
