"""Cells of the grid: how often a recipe's interval holds its true accuracy, and its width."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from mmlab.statistics.crossed import MeanSquares, fields_of, stacked
from mmlab.statistics.estimates import UPPER, Array
from mmlab.statistics.shares import share_limits
from mmlab.statistics.variance import pooled_scatter
from support.coverage.usual import student_half_width, wilson_interval
from support.coverage.worlds import World, draw_recipes

ACCURACIES = (0.5, 0.8, 0.95, 0.995)
SAMPLES = (30, 150, 1000)
CLUSTERS = (1, 2, 5)
SEED_SDS = (0.0, 0.1, 0.3)
SAMPLE_SDS = (1.0, 3.0)
SETS = 2000

#: The interval of one row, the same with the seeds' variance pooled over five rows, and what is
#: usual: Student's t over seeds' means, or Wilson's over the samples of one seed.
Rule = Literal["alone", "pooled", "usual"]
_POOL = 5


@dataclass(frozen=True)
class Cell:
    """What was found in one world, for one number of seeds and one rule.

    `ideal_width` is that of Wilson's interval if the true variance of the mean were known.
    """

    world: World
    seeds: int
    rule: Rule
    coverage: float
    mean_width: float
    median_width: float
    ideal_width: float


def worlds() -> list[World]:
    """The whole grid."""
    axes = itertools.product(SAMPLES, CLUSTERS, SAMPLE_SDS, ACCURACIES, SEED_SDS)
    return [World(accuracy, n, seed_sd, sd, m) for n, m, sd, accuracy, seed_sd in axes]


def quarter(grid: Sequence[World]) -> list[World]:
    """Every fourth world of the grid, shifted so that each value of each axis is among them."""
    return [world for place, world in enumerate(grid) if (place + place // 12) % 4 == 0]


def cells_of(world: World, place: int, sets: int = SETS) -> Iterator[Cell]:
    """Every number of seeds and every rule; one seed only where seeds do not differ."""
    drawn = draw_recipes(world, np.random.default_rng([7, place]), sets)
    for seeds, squares in drawn.items():
        if seeds == 1 and world.seed_sd:
            continue  # an interval for one seed does not claim to hold for others
        rules: tuple[Rule, ...] = ("alone", "usual") if seeds == 1 else ("alone", "pooled", "usual")
        for rule in rules:
            yield _cell(world, seeds, rule, squares)


def _cell(world: World, seeds: int, rule: Rule, squares: MeanSquares) -> Cell:
    low, high = _limits(rule, squares)
    width = np.minimum(high, 1.0) - np.maximum(low, 0.0)
    truth = world.accuracy
    return Cell(
        world=world,
        seeds=seeds,
        rule=rule,
        coverage=float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean()),
        mean_width=float(width.mean()),
        median_width=float(np.median(width)),
        ideal_width=_ideal_width(truth, float(squares.mean.var())),
    )


def _limits(rule: Rule, squares: MeanSquares) -> tuple[Array, Array]:
    if rule == "usual":
        return _usual(squares)
    scatter = None
    if rule == "pooled":
        rows = stacked([_rolled(squares, 17 * row) for row in range(_POOL)])
        scatter = pooled_scatter(rows)
    found = share_limits(squares, scatter=scatter)
    return found.low, found.high


def _rolled(squares: MeanSquares, places: int) -> MeanSquares:
    """The data sets in another order: other rows of a board, of the same world."""
    rolled = {name: np.roll(value, places) for name, value in fields_of(squares).items()}
    return MeanSquares(**rolled)


def _usual(squares: MeanSquares) -> tuple[Array, Array]:
    if squares.seeds == 1:
        count = np.broadcast_to(squares.samples, squares.mean.shape)
        return wilson_interval(squares.mean * count, count)
    deviation = np.sqrt(squares.of_seeds / squares.clusters)
    half = student_half_width(deviation, np.broadcast_to(squares.seeds, deviation.shape))
    return squares.mean - half, squares.mean + half


def _ideal_width(share: float, variance: float) -> float:
    size = share * (1 - share) / variance
    quantile = float(stdtrit(1e9, UPPER))
    ratio = quantile**2 / size
    return 2 * (ratio * (share * (1 - share) + ratio / 4)) ** 0.5 / (1 + ratio)
