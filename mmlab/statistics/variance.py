"""The variance of a grand mean over crossed seeds and clusters, and its degrees of freedom.

For shares and other means in [0, 1] the mean squares are shrunk first, so that no variance is 0
where all seeds happen to agree. The scatter of seeds may be pooled over the rows of a board: two or
three seeds of one recipe tell little of it, and recipes of one board train much alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, fdtrc

from mmlab.statistics.crossed import MeanSquares, fields_of
from mmlab.statistics.estimates import Array, Scale

#: Pseudo-clusters, half with every seed right and half with every seed wrong, before they are
#: divided by a cluster's size and the root of the seeds. They were found by simulation.
PSEUDO_CLUSTERS: Mapping[Scale, float] = {"share": 2.0, "bounded": 0.5, "unbounded": 0.0}
#: From how many seeds on a recipe's own scatter is known well enough, and rows that make a pool.
OWN_SEEDS, POOL_ROWS = 5, 3
#: The level of the upper limit of a seed variance, found by simulation: numbers leave less between
#: seeds and samples than hits and misses do, so that seeds are the larger part more often.
_SEED_LEVEL: Mapping[Scale, float] = {"share": 0.5, "bounded": 0.25, "unbounded": 0.25}
#: The level at which a row's seeds are said to scatter more than the others', Holm's over rows.
_OUTLYING = 0.01


@dataclass(frozen=True)
class Shrunk:
    """Mean squares with `clusters - G` pseudo-clusters added, in closed form; `mean` with them.

    After Agresti and Coull, The American Statistician 52 (1998), 119-126, but here the variance is
    shrunk and the centre of the interval is not.
    """

    mean: Array
    of_seeds: Array
    of_clusters: Array
    of_rest: Array
    clusters: Array

    @property
    def sensitivity(self) -> Array:
        """The squared slope of a share in logits: (q (1 - q))^2."""
        return np.asarray(np.square(self.mean * (1 - self.mean)))


def shrink(squares: MeanSquares, scale: Scale) -> Shrunk:
    """With as many pseudo-clusters as the interval of one recipe wants."""
    pseudo = PSEUDO_CLUSTERS[scale] / squares.cluster_size / np.sqrt(squares.seeds)
    return shrink_by(squares, pseudo)


def shrink_by(squares: MeanSquares, pseudo: Array | float) -> Shrunk:
    """With `pseudo` pseudo-clusters."""
    seeds, clusters = squares.seeds, squares.clusters
    size = clusters + pseudo
    mean = (clusters * squares.mean + pseudo / 2) / size
    of_seeds = squares.of_seeds * (seeds - 1)
    moved = clusters * np.square(squares.mean - mean)
    added = pseudo / 2 * (np.square(mean) + np.square(1 - mean))
    of_clusters = squares.of_clusters * (clusters - 1) + seeds * (moved + added)
    of_rest = squares.of_rest * (seeds - 1) * (clusters - 1) + of_seeds * pseudo / size
    return Shrunk(
        mean=mean,
        of_seeds=of_seeds * clusters / size / np.maximum(seeds - 1, 1),
        of_clusters=of_clusters / np.maximum(size - 1, 1),
        of_rest=of_rest / np.maximum((seeds - 1) * (size - 1), 1),
        clusters=size,
    )


@dataclass(frozen=True)
class SeedScatter:
    """The variance of a recipe's score between seeds, pooled over rows, and its freedom.

    In squared logits for means in [0, 1], so that it serves rows of any level; otherwise in squared
    units of the outcome.
    """

    variance: Array
    freedom: Array


def pooled_scatter(squares: MeanSquares, scale: Scale = "share", axis: int = 0) -> SeedScatter:
    """Pooled over the rows along `axis`, those with one seed left out; NaN where all have one.

    All rows answer one protocol. The idea of lending variance between rows is Smyth's, Statistical
    Applications in Genetics and Molecular Biology 3 (2004), article 3.
    """
    shrunk = shrink(squares, scale)
    freedom = np.broadcast_to(squares.seeds - 1, squares.mean.shape)
    above = freedom * (shrunk.of_seeds - shrunk.of_rest)
    slope = freedom * shrunk.clusters * _slope(shrunk, scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(above.sum(axis) / slope.sum(axis), 0.0)
    return SeedScatter(variance, freedom.sum(axis))


def board_scatter(squares: MeanSquares, scale: Scale = "share") -> SeedScatter | None:
    """The pooled scatter of a board's rows; None where fewer than three have two seeds."""
    several = np.broadcast_to(squares.seeds, squares.mean.shape) > 1
    known = several & np.isfinite(squares.mean)
    return pooled_scatter(rows_of(squares, known), scale) if known.sum() >= POOL_ROWS else None


def rows_of(squares: MeanSquares, which: npt.NDArray[np.bool_]) -> MeanSquares:
    """Some of a stack's rows."""
    return MeanSquares(**{name: value[which] for name, value in fields_of(squares).items()})


def scattered_more(squares: MeanSquares, scale: Scale = "share") -> npt.NDArray[np.bool_]:
    """Which rows' seeds scatter more than those of the others pooled: F tests, Holm's at 1 %.

    A row's own mean square of seeds is compared with what the others' scatter makes expected; no
    row is marked where the others are fewer than three. Source: Holm, Scandinavian Journal of
    Statistics 6 (1979), 65-70.
    """
    shrunk = shrink(squares, scale)
    own = np.broadcast_to(squares.seeds - 1, squares.mean.shape)
    return outlying(own, shrunk.of_seeds, shrunk.of_rest, shrunk.clusters * _slope(shrunk, scale))


def outlying(
    own: Array, of_seeds: Array, of_rest: Array, sensitivity: Array
) -> npt.NDArray[np.bool_]:
    """Which rows have too large a mean square of seeds, of `own` degrees of freedom each.

    A row's expectation is the scatter times its `sensitivity`, plus what is left of its samples.
    """
    above, slope = own * (of_seeds - of_rest), own * sensitivity
    tested = (own > 0) & ((own > 0).sum() > POOL_ROWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum((above.sum() - above) / (slope.sum() - slope), 0.0)
        ratio = of_seeds / (variance * sensitivity + of_rest)
    freedom = np.where(tested, own.sum() - own, 1.0)
    chances = fdtrc(np.maximum(own, 1), freedom, np.where(tested, ratio, 0.0))
    return _rejected_by_holm(chances)


def _rejected_by_holm(chances: Array) -> npt.NDArray[np.bool_]:
    order = np.argsort(chances)
    passes = chances[order] * (len(chances) - np.arange(len(chances))) <= _OUTLYING
    rejected = np.zeros(len(chances), dtype=bool)
    rejected[order] = np.logical_and.accumulate(passes)
    return rejected


def expected_of_seeds(shrunk: Shrunk, scatter: SeedScatter, scale: Scale) -> Array:
    """The mean square of seeds that a pooled scatter makes expected."""
    return np.asarray(scatter.variance * shrunk.clusters * _slope(shrunk, scale) + shrunk.of_rest)


def _slope(shrunk: Shrunk, scale: Scale) -> Array:
    return np.ones_like(shrunk.mean) if scale == "unbounded" else shrunk.sensitivity


@dataclass(frozen=True)
class Variance:
    """Of a grand mean: `total`, the part of it that seeds add, and Satterthwaite's freedom."""

    total: Array
    of_seeds: Array
    freedom: Array


def variance_of_mean(
    squares: MeanSquares, shrunk: Shrunk, scale: Scale, scatter: SeedScatter | None = None
) -> Variance:
    """The variance of the grand mean of shrunk mean squares A, B and E: (A + B - E) / (S H).

    A and B are at least E, for no component is negative. The freedom is Satterthwaite's (1946) at
    an upper limit of A, f A / chi2(f, level): two seeds that came out alike by chance are not a
    seed variance that is well known. `scatter` takes the place of a recipe's own A where that is
    smaller and of 2, 3 or 4 seeds.
    """
    of_seeds, freedom = _seed_square(squares, shrunk, scale, scatter)
    rest = shrunk.of_rest
    of_seeds, of_clusters = np.maximum(of_seeds, rest), np.maximum(shrunk.of_clusters, rest)
    size = squares.seeds * shrunk.clusters
    upper = upper_square(of_seeds, freedom, scale)
    own_freedom, free = np.maximum(squares.seeds - 1, 1), np.maximum(squares.clusters - 1, 1)
    others = np.square(of_clusters) / free + np.square(rest) / (own_freedom * free)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.square(upper + of_clusters - rest) / (np.square(upper) / freedom + others)
    fewest = np.minimum(np.where(squares.seeds > 1, freedom, 1), free)
    return Variance(
        total=(of_seeds + of_clusters - rest) / size,
        of_seeds=(of_seeds - rest) / size,
        freedom=np.fmax(found, fewest),
    )


def upper_square(square: Array, freedom: Array, scale: Scale) -> Array:
    """An upper limit of the expectation of a mean square; for shares the median-unbiased one."""
    return np.asarray(square * freedom / chdtri(freedom, 1 - _SEED_LEVEL[scale]))


def _seed_square(
    squares: MeanSquares, shrunk: Shrunk, scale: Scale, scatter: SeedScatter | None
) -> tuple[Array, Array]:
    """The mean square of seeds that is used, and its freedom."""
    own_freedom = np.maximum(squares.seeds - 1, 1)
    if scatter is None:
        return shrunk.of_seeds, own_freedom
    pooled = expected_of_seeds(shrunk, scatter, scale)
    few = (squares.seeds > 1) & (squares.seeds < OWN_SEEDS)
    is_pooled = few & (pooled >= shrunk.of_seeds)
    chosen = np.where(is_pooled, pooled, shrunk.of_seeds)
    return chosen, np.where(is_pooled, scatter.freedom, own_freedom)
