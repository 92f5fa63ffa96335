"""The mean over several datasets (a suite) of one recipe, and of two compared: intervals.

The estimand: these datasets, new samples of each, and new seeds. Samples of two datasets are drawn
independently, so what they leave of variance adds up. Seeds do not: one trained model is asked all
datasets, and a good one may be good on all of them. What seeds add is therefore the variance of the
seeds' own means over the datasets, whatever their correlation between datasets is. For one dataset
the form is that of `mmlab.statistics.shares`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from mmlab.statistics.crossed import Measured, cluster_values, mean_squares
from mmlab.statistics.estimates import (
    UPPER,
    Array,
    Estimate,
    Scale,
    covers_of,
    fewest_clusters,
    judge_width,
    no_estimate,
)
from mmlab.statistics.paired import SeedPart
from mmlab.statistics.shares import ShareLimits, wilson_limits
from mmlab.statistics.variance import OWN_SEEDS, POOL_ROWS, SeedScatter, shrink, upper_square


@dataclass(frozen=True)
class OnDataset:
    """Outcomes on one dataset, of a stack (...) of recipes: all have the same seeds as on others.

    `seed_means` are (..., seeds); `scale` is "share" or "bounded".
    """

    measured: Measured
    seed_means: Array
    scale: Scale = "share"


def measure_dataset(
    outcomes: npt.ArrayLike, clusters: npt.ArrayLike | None = None, scale: Scale = "share"
) -> OnDataset:
    """What the mean over datasets needs of outcomes (..., seeds, samples) on one of them."""
    values = np.asarray(outcomes, dtype=np.float64)
    grouped = values if clusters is None else cluster_values(values, clusters)
    measured = Measured(grouped.mean(-2), mean_squares(grouped, values.shape[-1]))
    return OnDataset(measured, grouped.mean(-1), scale)


@dataclass(frozen=True)
class SuiteParts:
    """What the variance of a mean over D datasets is made of, each as a part of that mean's.

    `of_seeds` (...) is the variance of seeds' means over datasets, of which `of_rest` (D, ...) is
    what samples leave in it; `of_clusters` (D, ...) is of samples and that. Divided by the seeds
    they are variances of the mean. `slope` is the mean derivative of a share by its logit.
    """

    mean: Array
    shrunk_mean: Array
    of_seeds: Array
    of_clusters: Array
    of_rest: Array
    slope: Array
    seeds: Array
    clusters: Array
    held: Array

    @property
    def rest(self) -> Array:
        """What samples leave in the variance of seeds' means."""
        return np.asarray(self.of_rest.sum(0))


def suite_parts(datasets: Sequence[OnDataset]) -> SuiteParts:
    """The parts of a stack of recipes' means over datasets, each of which weighs the same.

    As in `variance.shrink`, mean squares have pseudo-clusters in them, so that none is 0 where all
    seeds happen to agree.
    """
    count = len(datasets)
    shrunk = [shrink(one.measured.squares, one.scale) for one in datasets]
    sizes = [one.measured.squares.clusters for one in datasets]
    held = [np.asarray(size / own.clusters) for size, own in zip(sizes, shrunk, strict=True)]
    scaled = [one.seed_means * part[..., None] for one, part in zip(datasets, held, strict=True)]
    of_seeds, seeds = np.sum(scaled, axis=0) / count, scaled[0].shape[-1]
    deviations = of_seeds - of_seeds.mean(-1, keepdims=True)
    shape = datasets[0].measured.squares.mean.shape

    def stack(values: Sequence[Array]) -> Array:
        return np.stack([np.broadcast_to(value, shape) for value in values])

    return SuiteParts(
        mean=stack([one.measured.squares.mean for one in datasets]).mean(0),
        shrunk_mean=stack([own.mean for own in shrunk]).mean(0),
        of_seeds=np.square(deviations).sum(-1) / max(seeds - 1, 1),
        of_clusters=stack(
            [np.maximum(own.of_clusters, own.of_rest) / own.clusters / count**2 for own in shrunk]
        ),
        of_rest=stack([own.of_rest / own.clusters / count**2 for own in shrunk]),
        slope=stack([own.mean * (1 - own.mean) for own in shrunk]).mean(0),
        seeds=np.asarray(float(seeds)),
        clusters=stack(sizes),
        held=stack(held).mean(0),
    )


def joined_parts(rows: Sequence[SuiteParts]) -> SuiteParts:
    """Recipes with whatever seeds as one stack, in order: rows of a board."""
    by_dataset = ("of_clusters", "of_rest", "clusters")
    fields = {
        name: np.stack([getattr(row, name) for row in rows], axis=1)
        if name in by_dataset
        else np.stack([np.broadcast_to(getattr(row, name), row.mean.shape) for row in rows])
        for name in vars(rows[0])
    }
    return SuiteParts(**fields)


def suite_scatter(parts: SuiteParts, axis: int = 0) -> SeedScatter:
    """The variance between seeds of means over datasets, pooled over rows along `axis`."""
    freedom = np.broadcast_to(parts.seeds - 1, parts.mean.shape)
    above = freedom * (parts.of_seeds - parts.rest)
    slope = freedom * np.square(parts.slope)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.maximum(above.sum(axis) / slope.sum(axis), 0.0)
    return SeedScatter(variance, freedom.sum(axis))


def board_suite_scatter(parts: SuiteParts) -> SeedScatter | None:
    """That of a board's rows; None where fewer than three have two seeds."""
    several = np.broadcast_to(parts.seeds, parts.mean.shape) > 1
    return suite_scatter(parts) if several.sum() >= POOL_ROWS else None


def suite_limits(
    parts: SuiteParts, scale: Scale = "share", scatter: SeedScatter | None = None
) -> ShareLimits:
    """The limits of means over datasets, in [0, 1]: Wilson's on the effective sample size.

    `scale` is "bounded" where outcomes of any dataset are numbers; `scatter` as `share_limits` has
    it, of means over the same datasets.
    """
    rest, own = parts.rest, np.maximum(parts.seeds - 1, 1)
    square, freedom = parts.of_seeds, own
    if scatter is not None:
        pooled = scatter.variance * np.square(parts.slope) + rest
        few = (parts.seeds > 1) & (parts.seeds < OWN_SEEDS)
        is_pooled = few & (pooled >= square)
        square = np.where(is_pooled, pooled, square)
        freedom = np.where(is_pooled, scatter.freedom, own)
    square = np.maximum(square, rest)
    upper, free = upper_square(square, freedom, scale), np.maximum(parts.clusters - 1, 1)
    below = np.square(upper) / freedom
    below = below + (np.square(parts.of_clusters) / free).sum(0)
    below = below + (np.square(parts.of_rest) / (own * free)).sum(0)
    of_clusters = parts.of_clusters.sum(0)
    fewest = np.minimum(np.where(parts.seeds > 1, freedom, 1), free.min(0))
    found = np.fmax(np.square(upper + of_clusters - rest) / below, fewest)
    total = (square + of_clusters - rest) / parts.seeds
    size = parts.shrunk_mean * (1 - parts.shrunk_mean) / total * parts.held
    low, high = wilson_limits(parts.mean, size, stdtrit(found, UPPER))
    return ShareLimits(low, high, size, found)


def widest(scales: Sequence[Scale]) -> Scale:
    """The scale of a mean over datasets whose outcomes have these."""
    return "share" if all(scale == "share" for scale in scales) else "bounded"


def estimate_suite(datasets: Sequence[OnDataset], scatter: SeedScatter | None = None) -> Estimate:
    """The mean of one recipe over datasets, and its interval: for shares and other means in [0, 1].

    None where a dataset has too few samples to carry one.
    """
    parts = suite_parts(datasets)
    scale = widest([one.scale for one in datasets])
    squares = [one.measured.squares for one in datasets]
    seeds, samples = int(parts.seeds), sum(int(one.samples) for one in squares)
    clusters = sum(int(one.clusters) for one in squares)
    fewest = min(squares, key=lambda one: float(one.clusters))
    sizes = int(fewest.samples), int(fewest.clusters)
    absent = no_estimate(float(parts.mean), seeds, *sizes, fewest_clusters(scale))
    if absent is not None:
        return absent
    found, alone = suite_limits(parts, scale, scatter), suite_limits(_without_seeds(parts), scale)
    low, high = float(found.low), float(found.high)
    reason, advice = judge_width(high - low, float(alone.high - alone.low), seeds, scale)
    mean, covers = float(parts.mean), covers_of(seeds)
    return Estimate(mean, low, high, covers, seeds, samples, clusters, reason, advice)


def _without_seeds(parts: SuiteParts) -> SuiteParts:
    """As if the seeds' mean were one model's: what the samples alone leave open."""
    fields = vars(parts) | {
        "of_seeds": np.zeros_like(parts.of_seeds),
        "of_rest": np.zeros_like(parts.of_rest),
        "of_clusters": parts.of_clusters / parts.seeds,
        "seeds": np.ones_like(parts.seeds),
    }
    return SuiteParts(**fields)


def seed_parts(parts: SuiteParts, scatter: SeedScatter | None) -> SeedPart:
    """What seeds add to means over datasets, from a shared scatter or each from its own."""
    several, noise = parts.seeds > 1, parts.rest / parts.seeds
    square, freedom = np.maximum(parts.of_seeds, parts.rest), np.maximum(parts.seeds - 1, 1)
    if scatter is not None:
        square = scatter.variance * np.square(parts.slope) + parts.rest
        freedom = np.maximum(scatter.freedom, 1)
    total = np.where(several, square / parts.seeds, 0.0)
    freedom = np.broadcast_to(freedom, total.shape)
    return SeedPart(total, np.where(several, noise, 0.0), freedom)
