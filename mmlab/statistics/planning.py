"""What a paired comparison could have shown (power), and how many more seeds or samples would.

All is computed for the very test of `mmlab.statistics.differences`, by drawing its mean squares
from their distributions: the short form 2.8 standard errors is half of the truth at two seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, ndtr, stdtrit

from mmlab.statistics.crossed import MeanSquares, measure, stacked
from mmlab.statistics.estimates import UPPER, Array, Scale
from mmlab.statistics.paired import pseudo_pairs
from mmlab.statistics.variance import SeedScatter, expected_of_seeds, pooled_scatter, shrink

#: How often a difference is to be shown that is there.
POWER = 0.8
#: More seeds than these are told as "more than 20"; samples as more than so many.
MOST_SEEDS, MOST_CLUSTERS = 20, 1_000_000
_DRAWS, _HALVINGS = 4_000, 30
#: The ends of the range in which the seeds' variance lies with 80 %.
_LIKELY = (0.9, 0.1)


@dataclass(frozen=True)
class Design:
    """Variances of a paired difference, and how many seeds and clusters it has.

    `of_seeds` and `of_rest` are summed over both sides, for one seed each; `of_clusters` is that of
    clusters' true differences. `freedom` tells how well `of_seeds` is known.
    """

    of_seeds: float
    of_clusters: float
    of_rest: float
    freedom: float
    seeds: int
    clusters: int
    cluster_size: float
    scale: Scale

    @property
    def standard_error(self) -> float:
        """Of the mean difference."""
        rest = self.of_rest / (self.seeds * self.clusters)
        return math.sqrt(self.of_seeds / self.seeds + self.of_clusters / self.clusters + rest)


@dataclass(frozen=True)
class Needed:
    """How many seeds or clusters would show a difference: at best, likely, and at worst.

    From the range in which the seeds' variance lies with 80 %. None: more than can be told, or no
    number of them would.
    """

    low: int | None
    likely: int | None
    high: int | None


def design_of(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    scale: Scale = "share",
    scatter: SeedScatter | None = None,
) -> Design:
    """The design of two recipes, both (seeds, samples) on the same samples.

    Of unequal numbers of seeds the smaller counts. With one seed each it is of these two models.
    """
    sides = [measure(side, clusters) for side in (left, right)]
    squares: list[MeanSquares] = [side.squares for side in sides]
    seeds = min(int(one.seeds) for one in squares)
    shrunk = [shrink(one, scale) for one in squares]
    several = [one for one in squares if one.seeds > 1]
    shared = scatter or (pooled_scatter(stacked(several), scale) if several else None)
    of_seeds, of_rest = 0.0, 0.0
    for one, own in zip(squares, shrunk, strict=True):
        if shared is not None and one.seeds > 1:
            expected = float(expected_of_seeds(own, shared, scale))
            of_seeds += max(0.0, expected - float(own.of_rest)) / float(own.clusters)
            of_rest += float(own.of_rest)
    count = int(squares[0].clusters)
    spread = float(np.var(sides[0].profile - sides[1].profile, ddof=1))
    return Design(
        of_seeds=of_seeds,
        of_clusters=max(0.0, spread - of_rest / seeds),
        of_rest=of_rest,
        freedom=float(shared.freedom) if shared is not None else math.inf,
        seeds=seeds,
        clusters=count,
        cluster_size=float(squares[0].cluster_size),
        scale=scale,
    )


def smallest_detectable(design: Design, power: float = POWER) -> float:
    """The difference that would be shown so often, in the metric's unit. Deterministic."""
    error = design.standard_error
    if error == 0:
        return 0.0
    half, shrunk = _half_widths(design), design.clusters / (design.clusters + _pseudo(design))
    low, high = 0.0, 60 * error
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        centre = middle * shrunk
        shown = ndtr((centre - half) / error) + ndtr((-centre - half) / error)
        low, high = (middle, high) if shown.mean() < power else (low, middle)
    return high


def _half_widths(design: Design) -> Array:
    """Draws of half the width of the interval that the test has."""
    stream = np.random.default_rng(0)
    free, noise = design.clusters - 1, design.of_rest / (design.seeds * design.clusters)
    of_samples = design.of_clusters / design.clusters + noise
    drawn = of_samples * stream.chisquare(free, _DRAWS) / free
    drawn = drawn + _pseudo(design) / design.clusters**2
    if not math.isfinite(design.freedom):
        return np.asarray(stdtrit(free, UPPER) * np.sqrt(drawn))
    freedom = design.freedom
    expected = design.of_seeds / design.seeds + noise
    seeds = np.maximum(expected * stream.chisquare(freedom, _DRAWS) / freedom, noise)
    upper = seeds * freedom / chdtri(freedom, 0.5)
    total = np.square(np.maximum(drawn - noise, 0) + upper)
    below = np.square(drawn) / free + np.square(upper) / freedom
    free_of_all = np.maximum(total / below, min(freedom, free))
    return np.asarray(
        stdtrit(free_of_all, UPPER) * np.sqrt(np.maximum(drawn + seeds - noise, drawn))
    )


def _pseudo(design: Design) -> float:
    return float(
        pseudo_pairs(design.scale, np.asarray(design.cluster_size), np.asarray(design.seeds))
    )


def seeds_needed(design: Design, difference: float) -> Needed:
    """How many seeds a side would show a difference on these samples, if any number would."""

    def fewest(known: Design) -> int | None:
        wanted = (
            replace(known, seeds=s, freedom=_freedom(known, s)) for s in range(2, MOST_SEEDS + 1)
        )
        return next((d.seeds for d in wanted if smallest_detectable(d) <= abs(difference)), None)

    return _range(design, fewest)


def clusters_needed(design: Design, difference: float) -> Needed:
    """How many samples, or groups of them, would show a difference with these seeds."""

    def fewest(known: Design) -> int | None:
        def shows(count: int) -> bool:
            return smallest_detectable(replace(known, clusters=count)) <= abs(difference)

        low, high = 1, known.clusters
        while not shows(high):
            low, high = high, 2 * high
            if high > MOST_CLUSTERS:
                return None
        while high - low > max(1, high // 50):
            middle = (low + high) // 2
            low, high = (low, middle) if shows(middle) else (middle, high)
        return high

    return _range(design, fewest)


def _freedom(design: Design, seeds: int) -> float:
    """What pooled freedom grows to with so many seeds a side."""
    if not math.isfinite(design.freedom):
        return 2.0 * (seeds - 1)
    return design.freedom * (seeds - 1) / max(design.seeds - 1, 1)


def _range(design: Design, fewest: Callable[[Design], int | None]) -> Needed:
    likely = fewest(design)
    if not math.isfinite(design.freedom):  # of one seed nothing is known of the others
        return Needed(None, likely, None)
    ends = [
        design.of_seeds * design.freedom / float(chdtri(design.freedom, 1 - chance))
        for chance in _LIKELY
    ]
    low, high = (fewest(replace(design, of_seeds=end)) for end in ends)
    return Needed(low, likely, high)
