"""All differences between many recipes on the same samples, and draws of what chance alone makes.

The draws are those of the multiplier bootstrap with normal multipliers: Chernozhukov, Chetverikov
and Kato, Annals of Statistics 41 (2013), 2786-2819. Given the data such a draw of the rows' means
is exactly normal with the covariance of their samples, and is drawn from that. What seeds add is
drawn with the uncertainty of its own variance, so that few seeds make wide draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.statistics.crossed import MeanSquares, Measured, fields_of
from mmlab.statistics.estimates import Array, Scale
from mmlab.statistics.paired import (
    SeedPart,
    pseudo_pairs,
    sample_variance,
    seed_part,
)
from mmlab.statistics.variance import SeedScatter, pooled_scatter, rows_of, scattered_more

#: Draws for up to so many rows, and for more: 200 rows take a fifth of a second.
_FEW_ROWS, _DRAWS, _FEWER_DRAWS = 50, 10_000, 1_000
#: A variance of a difference below this share of its rows' own is 0 but for rounding errors.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Comparison:
    """The differences between K rows, (K, K), row minus column, and draws of what chance makes.

    `difference` has the pseudo-pairs of `paired_limits` in it; it is 0 on the diagonal, where
    `error` is 1. Of rows that are equal in every sample nothing is known: `error` is infinite.
    `draws` (K, draws) are the rows' means as they would scatter were all alike.
    `scatters_more` marks rows whose seeds scatter more than the others' do; they keep their own
    variance. `scatter` is that of the others.
    """

    difference: Array
    error: Array
    draws: Array
    scatters_more: npt.NDArray[np.bool_]
    scatter: SeedScatter


def compare_rows(rows: Measured, scale: Scale = "share", draws: int | None = None) -> Comparison:
    """Every difference between rows, whose profiles are (K, clusters); higher is better.

    All rows answer the same samples; their seeds may differ in number, and one of a single seed is
    that model. Values must be finite: a row with a diverged seed is no row. `draws` are 10,000 for
    up to 50 rows and 1,000 for more; fewer are quicker and coarser.
    """
    assert np.isfinite(rows.profile).all()
    squares = MeanSquares(**fields_of(rows.squares))
    clusters, size = squares.clusters[:1], squares.cluster_size[:1]
    covariance = np.atleast_2d(np.cov(rows.profile))  # (K, K)
    difference = squares.mean[:, None] - squares.mean
    pseudo = pseudo_pairs(scale, size, np.minimum.outer(squares.seeds, squares.seeds))
    of_samples = sample_variances(covariance, difference, clusters, pseudo)
    own_size = clusters + pseudo_pairs(scale, size, squares.seeds)
    is_own = scattered_more(squares, scale)
    scatter = pooled_scatter(rows_of(squares, ~is_own), scale)
    shared = seed_part(squares, scale, own_size, scatter)
    own = seed_part(squares, scale, own_size, None)
    seeds = _chosen(shared, own, is_own)
    count = draws or draws_for(len(covariance))
    variance = of_samples + summed(seeds.total - seeds.noise)
    is_known = variance > _ROUNDING * summed(np.diag(covariance)) / clusters
    error = np.sqrt(np.where(is_known, variance, np.inf))
    np.fill_diagonal(error, 1.0)
    means = [(covariance / clusters, float(clusters[0]) - 1)]
    return Comparison(
        difference=difference * clusters / (clusters + pseudo),
        error=error,
        draws=draw_means(means, seeds, is_own, count),
        scatters_more=is_own,
        scatter=scatter,
    )


def draws_for(rows: int) -> int:
    """How many draws a comparison of so many rows has."""
    return _DRAWS if rows <= _FEW_ROWS else _FEWER_DRAWS


def summed(of_rows: Array) -> Array:
    """What two rows have together, (K, K)."""
    return np.asarray(of_rows[:, None] + of_rows)


def sample_variances(covariance: Array, difference: Array, clusters: Array, pseudo: Array) -> Array:
    """Of every paired difference, from the rows' covariance over clusters."""
    own = np.diag(covariance)
    square = np.maximum(summed(own) - 2 * covariance, 0.0) * (clusters - 1)
    return sample_variance(square, difference, clusters, pseudo)


def _chosen(shared: SeedPart, own: SeedPart, is_own: npt.NDArray[np.bool_]) -> SeedPart:
    return SeedPart(
        total=np.where(is_own, own.total, shared.total),
        noise=np.where(is_own, own.noise, shared.noise),
        freedom=np.where(is_own, own.freedom, shared.freedom),
    )


def draw_means(
    means: Sequence[tuple[Array, float]],
    seeds: SeedPart,
    is_own: npt.NDArray[np.bool_],
    count: int,
) -> Array:
    """Draws (K, count) of the rows' means around the truth, from a fixed stream.

    `means` are covariances of means over independent samples, and their degrees of freedom: what is
    drawn is the sum of these means.
    """
    rows = len(is_own)
    stream = np.random.default_rng(rows)
    of_samples = np.zeros((rows, count))
    for covariance, freedom in means:
        drawn = _root(covariance) @ stream.standard_normal((rows, count))
        of_samples += drawn * np.sqrt(freedom / stream.chisquare(freedom, count))
    if not seeds.total.any():
        return np.asarray(of_samples)
    # The variance of seeds is known as badly as its freedom says: one draw of it for those that
    # share it, one for each of the others.
    shared = stream.chisquare(np.full(count, seeds.freedom[~is_own].max(initial=1.0)))
    own = stream.chisquare(np.where(is_own, seeds.freedom, 1.0)[:, None], (rows, count))
    chance = np.where(is_own[:, None], own, shared)
    variance = seeds.total[:, None] * seeds.freedom[:, None] / chance - seeds.noise[:, None]
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(of_samples + deviation * stream.standard_normal((rows, count)))


def _root(covariance: Array) -> Array:
    """The symmetric root, which no sign of an eigenvector changes."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
