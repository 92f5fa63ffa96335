"""Mean squares of outcomes that cross seeds with samples: a two-way random effects ANOVA.

Every seed is asked the same samples, so outcomes are a table of two crossed random effects without
repetition: a seed's, a sample's, and what is left. Samples that belong together (the captions of
one picture, the shots of one speaker) are one cluster, and from here on a cluster is what counts.
Source: Searle, Casella and McCulloch, Variance Components (1992), chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmlab.statistics.estimates import Array


@dataclass(frozen=True)
class MeanSquares:
    """Of one table, or of a stack of them: all fields have the leading axes (...) or broadcast.

    `of_seeds`, `of_clusters` and `of_rest` are 0 where one seed leaves nothing to estimate them.
    `samples` is before clustering; a cluster holds `samples / clusters` of them on average.
    """

    mean: Array
    of_seeds: Array
    of_clusters: Array
    of_rest: Array
    seeds: Array
    clusters: Array
    samples: Array

    @property
    def cluster_size(self) -> Array:
        """Samples in a cluster, on average."""
        return np.asarray(self.samples / self.clusters)


@dataclass(frozen=True)
class Measured:
    """A recipe's outcomes as intervals need them, or a stack of recipes' on the same samples.

    `profile` (..., clusters) is the mean over seeds of each cluster's value.
    """

    profile: Array
    squares: MeanSquares


def measure(outcomes: npt.ArrayLike, clusters: npt.ArrayLike | None = None) -> Measured:
    """What intervals need of outcomes (..., seeds, samples); `clusters` has an id a sample.

    Ids may be numbers or texts, in any order. Without them each sample is its own cluster.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # infinite ones leave no mean, which is told
        grouped = values if clusters is None else cluster_values(values, clusters)
        return Measured(grouped.mean(-2), mean_squares(grouped, values.shape[-1]))


def measure_rows(rows: Sequence[npt.ArrayLike], clusters: npt.ArrayLike | None = None) -> Measured:
    """Several recipes on the same samples, each (seeds, samples), as one stack (rows,)."""
    each = [measure(row, clusters) for row in rows]
    return Measured(np.stack([one.profile for one in each]), stacked([one.squares for one in each]))


def cluster_values(outcomes: Array, clusters: npt.ArrayLike) -> Array:
    """A value for each cluster, (..., seeds, clusters), whose plain mean is that of all samples.

    It is the linearised ratio (sum - p n) / m + p of a cluster of n samples, for p the grand mean
    and m the mean size: the cluster's mean where all are of one size. A large one draws p to
    itself, so that its distance to p is too short; it is divided by the share of samples that the
    others have, which gives the variance of the jackknife that leaves out one cluster at a time.
    Source: Bell and McCaffrey, Survey Methodology 28 (2002), 169-181.
    """
    ids = np.asarray(clusters)
    _, inverse, sizes = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = np.add.reduceat(outcomes[..., order], starts, axis=-1)
    mean = outcomes.mean((-2, -1))[..., None, None]
    others = (1 - sizes / sizes.sum()) / (1 - 1 / len(sizes)) if len(sizes) > 1 else 1.0
    distances = (sums - mean * sizes) / sizes.mean() / others
    return np.asarray(distances - distances.mean((-2, -1), keepdims=True) + mean)


def mean_squares(values: Array, samples: int | None = None) -> MeanSquares:
    """The mean squares of values (..., seeds, clusters) that stand for `samples` samples."""
    seeds, clusters = values.shape[-2:]
    mean = values.mean((-2, -1))
    of_seed = values.mean(-1) - mean[..., None]
    of_cluster = values.mean(-2) - mean[..., None]
    total = np.square(values - mean[..., None, None]).sum((-2, -1))
    sums = clusters * np.square(of_seed).sum(-1), seeds * np.square(of_cluster).sum(-1)
    return _divided(mean, *sums, total, seeds, clusters, samples or clusters)


def mean_squares_of_sums(
    seed_sums: Array, cluster_square: Array, square: Array, clusters: int, samples: int
) -> MeanSquares:
    """The same from sums that a database can make, for shares: differences of large sums.

    `seed_sums` (..., seeds) are each seed's sum over clusters, `cluster_square` (...) is the sum of
    the squares of the clusters' sums over seeds, `square` (...) the sum of all squared values.
    """
    seeds = seed_sums.shape[-1]
    total = seed_sums.sum(-1)
    common = np.square(total) / (seeds * clusters)
    of_seeds = np.square(seed_sums).sum(-1) / clusters - common
    sums = of_seeds, cluster_square / seeds - common, square - common
    mean = total / (seeds * clusters)
    parts = [np.maximum(one, 0.0) for one in sums]
    return _divided(mean, parts[0], parts[1], parts[2], seeds, clusters, samples)


def _divided(
    mean: Array,
    of_seeds: Array,
    of_clusters: Array,
    total: Array,
    seeds: int,
    clusters: int,
    samples: int,
) -> MeanSquares:
    rest = np.maximum(total - of_seeds - of_clusters, 0.0) if seeds > 1 else np.zeros_like(mean)
    return MeanSquares(
        mean=mean,
        of_seeds=of_seeds / max(seeds - 1, 1),
        of_clusters=of_clusters / max(clusters - 1, 1),
        of_rest=rest / max((seeds - 1) * (clusters - 1), 1),
        seeds=np.asarray(float(seeds)),
        clusters=np.asarray(float(clusters)),
        samples=np.asarray(float(samples)),
    )


def fields_of(squares: MeanSquares) -> dict[str, Array]:
    """Each field, in the shape of the means."""
    shape = squares.mean.shape
    return {name: np.broadcast_to(value, shape) for name, value in vars(squares).items()}


def stacked(rows: Sequence[MeanSquares]) -> MeanSquares:
    """Tables of whatever sizes as one stack, in order: for what is pooled over rows of a board."""
    fields = [fields_of(row) for row in rows]
    return MeanSquares(**{name: np.stack([each[name] for each in fields]) for name in fields[0]})
