"""Coverage of intervals around means of numbers and medians of ranks: skewed, bounded or normal.

Every outcome is a function of a_s + b_i + c_si, all normal: of the seed, of the sample (four fifths
of it its cluster's) and of the seed's view of the sample, of which b and c have variance 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mmlab.statistics.crossed import Measured, mean_squares
from mmlab.statistics.estimates import Array, fewest_clusters
from mmlab.statistics.means import mean_limits
from mmlab.statistics.paired import paired_limits
from mmlab.statistics.quantiles import estimate_quantile
from mmlab.statistics.shares import share_limits
from support.coverage.worlds import World, draw_samples, normal_mean

SEEDS, SEED_SDS = (1, 2, 3, 5), (0.0, 0.3)
SAMPLES, CLUSTERS = (30, 150, 1000), (1, 5)
SETS = 1000
_RESAMPLES = 500
_BLOCK = 1_000_000
Limits = tuple[Array, Array]


@dataclass(frozen=True)
class Kind:
    """A kind of outcome: made of latent numbers, its truth given their variance, its interval."""

    name: str
    outcomes: Callable[[Array], Array]
    truth: Callable[[float], float]
    limits: Callable[[Array, World], Limits]
    fewest: int
    needs_three_seeds: bool = False


@dataclass(frozen=True)
class NumberCell:
    """`width` is the mean one in units of the truth, or of itself where the truth is 0."""

    kind: str
    world: World
    seeds: int
    coverage: float
    mean_width: float


def _clustered(outcomes: Array, world: World) -> Measured:
    sets, seeds, _ = outcomes.shape
    values = outcomes.reshape(sets, seeds, world.clusters, world.cluster).mean(3)
    return Measured(values.mean(1), mean_squares(values, world.samples))


def _bounded(outcomes: Array, world: World) -> Limits:
    found = share_limits(_clustered(outcomes, world).squares, "bounded")
    return found.low, found.high


def _unbounded(outcomes: Array, world: World) -> Limits:
    found = mean_limits(_clustered(outcomes, world), resamples=_RESAMPLES)
    return found.low, found.high


def _difference(outcomes: Array, world: World) -> Limits:
    """Of the first half of the data sets minus the second."""
    half = len(outcomes) // 2
    sides = [_clustered(part, world) for part in (outcomes[:half], outcomes[half : 2 * half])]
    found = paired_limits(sides[0], sides[1], "unbounded")
    return found.low, found.high


def _bounded_difference(outcomes: Array, world: World) -> Limits:
    half = len(outcomes) // 2
    sides = [_clustered(part, world) for part in (outcomes[:half], outcomes[half : 2 * half])]
    found = paired_limits(sides[0], sides[1], "bounded")
    return found.low, found.high


def _median(outcomes: Array, world: World) -> Limits:
    ids = np.arange(world.samples) // world.cluster
    found = [estimate_quantile(one, ids if world.cluster > 1 else None) for one in outcomes]
    return np.array([one.low for one in found]), np.array([one.high for one in found])


def _logit(level: float) -> Kind:
    return Kind(
        f"numbers in [0, 1], mean {normal_mean(level, 2**0.5):.2f}",
        lambda latent: expit(level + latent),
        lambda variance: normal_mean(level, math.sqrt(variance)),
        _bounded,
        fewest_clusters("bounded"),
    )


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _logit(0.0),
        _logit(4.0),
        Kind(
            "normal numbers",
            lambda latent: latent,
            lambda _: 0.0,
            _unbounded,
            fewest_clusters("unbounded"),
            needs_three_seeds=True,
        ),
        Kind(
            "skewed losses",
            lambda latent: np.exp(0.7 * latent),
            lambda variance: math.exp(0.245 * variance),
            _unbounded,
            fewest_clusters("unbounded"),
            needs_three_seeds=True,
        ),
        Kind(
            "differences of skewed losses",
            lambda latent: np.exp(0.7 * latent),
            lambda _: 0.0,
            _difference,
            fewest_clusters("unbounded"),
        ),
        Kind(
            "differences of numbers in [0, 1]",
            expit,
            lambda _: 0.0,
            _bounded_difference,
            fewest_clusters("bounded"),
        ),
        Kind(
            "median ranks",
            lambda latent: 1 + np.floor(np.exp(2 + 1.5 * latent)),
            lambda _: 1 + math.floor(math.exp(2)),
            _median,
            fewest_clusters("share"),
        ),
    )
}


def worlds() -> list[World]:
    """The whole grid; accuracies say nothing here."""
    axes = itertools.product(SAMPLES, CLUSTERS, SEED_SDS)
    return [World(0.5, samples, seed_sd, 1.0, cluster) for samples, cluster, seed_sd in axes]


def cell_of(
    kind: Kind, world: World, seeds: int, place: int, sets: int = SETS
) -> NumberCell | None:
    """What was found; None where there is no interval, or none that is claimed to hold."""
    too_few = world.clusters < kind.fewest or (kind.needs_three_seeds and seeds == 2)
    if too_few or (seeds == 1 and world.seed_sd):
        return None
    stream = np.random.default_rng([17, place, seeds])
    size = max(2, _BLOCK // (world.samples * seeds))
    ends = [
        kind.limits(_draw(kind, world, seeds, stream, min(size, sets - start)), world)
        for start in range(0, sets, size)
    ]
    low, high = (np.concatenate(side) for side in zip(*ends, strict=True))
    truth = kind.truth(2 + world.seed_sd**2)
    return NumberCell(
        kind=kind.name,
        world=world,
        seeds=seeds,
        coverage=float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean()),
        mean_width=float((high - low).mean()) / (truth or 1.0),
    )


def _draw(kind: Kind, world: World, seeds: int, stream: np.random.Generator, sets: int) -> Array:
    """Outcomes (sets, seeds, samples)."""
    of_samples = draw_samples(world, stream, sets).astype(np.float64)[:, None]
    of_seeds = world.seed_sd * stream.standard_normal((sets, seeds, 1))
    view = stream.standard_normal((sets, seeds, world.samples))
    return kind.outcomes(of_seeds + of_samples + view)
