"""The variance of a paired difference between recipes, and its confidence limits.

Both were asked the same samples, so what a sample is like cancels. Seeds are never paired: the
first seeds of two recipes share nothing but a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from mmlab.statistics.crossed import MeanSquares, Measured, stacked
from mmlab.statistics.estimates import UPPER, Array, Scale
from mmlab.statistics.means import joined_limits, sample_quantiles
from mmlab.statistics.variance import (
    PSEUDO_CLUSTERS,
    SeedScatter,
    Shrunk,
    expected_of_seeds,
    pooled_scatter,
    shrink,
    upper_square,
)


@dataclass(frozen=True)
class SeedPart:
    """What the seeds of recipes (...) add to the variance of their means.

    `total` holds `noise`, what is left of samples in a mean square of seeds; `total - noise` is the
    seeds' own. A recipe of one seed adds nothing: it is that model.
    """

    total: Array
    noise: Array
    freedom: Array


def seed_part(
    squares: MeanSquares, scale: Scale, size: Array, scatter: SeedScatter | None
) -> SeedPart:
    """The seed part of means over `size` clusters, from a shared scatter or each from its own."""
    shrunk = shrink(squares, scale)
    sized = Shrunk(shrunk.mean, shrunk.of_seeds, shrunk.of_clusters, shrunk.of_rest, size)
    freedom = np.maximum(squares.seeds - 1, 1)
    square = np.maximum(shrunk.of_seeds, shrunk.of_rest)
    if scatter is not None:
        square = expected_of_seeds(sized, scatter, scale)
        freedom = np.maximum(scatter.freedom, 1)
    count = squares.seeds * size
    several = squares.seeds > 1
    noise = np.where(several, shrunk.of_rest / count, 0.0)
    return SeedPart(np.where(several, square / count, 0.0), noise, freedom)


def pseudo_pairs(scale: Scale, cluster_size: Array, seeds: Array) -> Array:
    """Clusters added to a paired difference: half with 1, half with -1, fewer for several seeds.

    After Bonett and Price, Journal of Educational and Behavioral Statistics 37 (2012), 479-488.
    """
    return np.asarray(PSEUDO_CLUSTERS[scale] / cluster_size / np.sqrt(seeds))


def sample_variance(square: Array, difference: Array, clusters: Array, pseudo: Array) -> Array:
    """The variance of a mean difference over clusters, with the pseudo-pairs in it.

    `square` is the sum over clusters of the squared deviations from `difference`, their mean.
    """
    size = clusters + pseudo
    centre = difference * clusters / size
    added = pseudo / 2 * (np.square(1 - centre) + np.square(1 + centre))
    whole = square + clusters * np.square(difference - centre) + added
    return np.asarray(whole / np.maximum(size - 1, 1) / size)


def _freedom(of_samples: Array, seeds: SeedPart, clusters: Array, scale: Scale) -> Array:
    """Satterthwaite's degrees of freedom, at an upper limit of what seeds add."""
    upper = upper_square(seeds.total, seeds.freedom, scale)
    free = np.maximum(clusters - 1, 1)
    below = np.square(of_samples) / free + np.square(upper) / seeds.freedom
    fewest = np.where(seeds.total > 0, np.minimum(free, seeds.freedom), free)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.square(of_samples - seeds.noise + upper) / below
    return np.asarray(np.fmax(found, fewest))


@dataclass(frozen=True)
class DifferenceLimits:
    """Confidence limits of mean differences (...), and the two-sided p value of no difference.

    `centre` is the difference with the pseudo-pairs in it; `standard_error` is its own, and
    `sample_error` the part of it that samples leave.
    """

    low: Array
    high: Array
    p_value: Array
    centre: Array
    standard_error: Array
    sample_error: Array
    freedom: Array


def paired_limits(
    left: Measured, right: Measured, scale: Scale = "share", scatter: SeedScatter | None = None
) -> DifferenceLimits:
    """The limits of left minus right, of a stack (..., clusters) of pairs on the same clusters.

    `scatter` is the seeds' of the board (`board_scatter`), otherwise that of the two pooled.
    """
    both = stacked([left.squares, right.squares])
    clusters, fewest = left.squares.clusters, both.seeds.min(0)
    pseudo = pseudo_pairs(scale, left.squares.cluster_size, fewest)
    differences = left.profile - right.profile
    difference = differences.mean(-1)
    square = np.square(differences - difference[..., None]).sum(-1)
    of_samples = sample_variance(square, difference, clusters, pseudo)
    known = scatter or pooled_scatter(both, scale)
    seeds = seed_part(both, scale, clusters + pseudo, known)
    both_seeds = SeedPart(seeds.total.sum(0), seeds.noise.sum(0), seeds.freedom)
    freedom = _freedom(of_samples, both_seeds, clusters, scale)
    of_seeds = both_seeds.total - both_seeds.noise
    centre = difference * clusters / (clusters + pseudo)
    error, sample_error = np.sqrt(of_samples + of_seeds), np.sqrt(of_samples)
    quantile = stdtrit(freedom, UPPER)
    if scale == "unbounded":
        low, high = _skewed(differences, sample_error, quantile * np.sqrt(of_seeds))
    else:
        low = np.maximum(centre - quantile * error, -1.0)
        high = np.minimum(centre + quantile * error, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_value = 2 * stdtr(freedom, -np.abs(centre) / error)
    return DifferenceLimits(low, high, p_value, centre, error, sample_error, freedom)


def _skewed(differences: Array, error: Array, seed_half: Array) -> tuple[Array, Array]:
    """Limits by the bootstrap-t, as a loss alone has them."""
    shape, clusters = differences.shape[:-1], differences.shape[-1]
    low, high = sample_quantiles(differences.reshape(-1, clusters))
    quantiles = low.reshape(shape), high.reshape(shape)
    return joined_limits(differences.mean(-1), error, quantiles, seed_half)
