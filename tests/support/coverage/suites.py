"""Cells of suites: how often the interval of a mean over three datasets holds, and of a difference.

The seeds of a model are alike good on all datasets ("alike"), or on each by itself ("apart").
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mmlab.statistics.estimates import Array
from mmlab.statistics.suite_differences import suite_difference_limits
from mmlab.statistics.suites import (
    OnDataset,
    SuiteParts,
    joined_parts,
    suite_limits,
    suite_parts,
    suite_scatter,
)
from mmlab.statistics.variance import SeedScatter
from support.coverage.worlds import World, blocks, draw_hits, draw_samples, measure_hits

#: Accuracies on the three datasets, of the first recipe and of the second.
LEVELS = (
    ((0.5, 0.8, 0.95), (0.5, 0.8, 0.95)),
    ((0.95, 0.95, 0.95), (0.95, 0.95, 0.95)),
    ((0.5, 0.8, 0.95), (0.4, 0.7, 0.9)),
)
SAMPLES, SEED_SDS, SEEDS = (30, 150), (0.0, 0.3), (1, 2, 3, 5)
SETS = 2000
_SAMPLE_SD, _SHARED, _POOL = 1.0, 0.8, 5

Skills = Literal["alike", "apart"]
Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Suite:
    """Two recipes on three datasets of one size; sizes grow by a third from one to the next."""

    left: tuple[float, ...]
    right: tuple[float, ...]
    samples: int
    seed_sd: float
    skills: Skills

    def worlds(self, accuracies: tuple[float, ...]) -> list[World]:
        """The world of each dataset."""
        sizes = [self.samples * (3 + place) // 3 for place in range(len(accuracies))]
        return [
            World(accuracy, size, self.seed_sd, _SAMPLE_SD, 1)
            for accuracy, size in zip(accuracies, sizes, strict=True)
        ]


@dataclass(frozen=True)
class SuiteCell:
    """What was found of the first recipe's mean, and of the difference between both.

    `pooled` is the coverage with the seeds' variance pooled over five rows.
    """

    suite: Suite
    seeds: int
    coverage: float
    pooled: float
    mean_width: float
    difference_coverage: float
    rejected: float


def suites() -> list[Suite]:
    """The whole grid; where seeds do not differ they are neither alike nor apart."""
    axes = itertools.product(LEVELS, SAMPLES, SEED_SDS, ("alike", "apart"))
    found = [Suite(one, other, n, sd, skills) for (one, other), n, sd, skills in axes]  # type: ignore[arg-type]
    return [suite for suite in found if suite.seed_sd or suite.skills == "alike"]


def cells_of(suite: Suite, place: int, sets: int = SETS) -> Iterator[SuiteCell]:
    """Every number of seeds; one seed only where seeds do not differ."""
    stream = np.random.default_rng([13, place])
    means: dict[int, list[tuple[Array, Array]]] = defaultdict(list)
    pooled: dict[int, list[tuple[Array, Array]]] = defaultdict(list)
    differences: dict[int, list[tuple[Array, Array]]] = defaultdict(list)
    largest = suite.worlds(suite.left)[-1]
    for size in blocks(largest, sets, SEEDS[-1] * 2 * len(suite.left)):
        for seeds, left, right in _drawn(suite, stream, size):
            parts = suite_parts(left)
            for kept, scatter in ((means, None), (pooled, _pooled(parts))):
                found = suite_limits(parts, scatter=scatter)
                kept[seeds].append((found.low, found.high))
            apart = suite_difference_limits(left, right)
            differences[seeds].append((apart.low, apart.high))
    for seeds in SEEDS:
        if seeds > 1 or not suite.seed_sd:
            kept = means[seeds], pooled[seeds], differences[seeds]
            yield _cell(suite, seeds, *map(_joined, kept))


def _pooled(parts: SuiteParts) -> SeedScatter:
    """Of five rows of the same world: the data sets in other orders."""
    rows = [
        SuiteParts(
            **{
                name: np.roll(value, 17 * place, -1) if value.ndim else value
                for name, value in vars(parts).items()
            }
        )
        for place in range(_POOL)
    ]
    return suite_scatter(joined_parts(rows))


def _joined(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    return low, high


def _drawn(
    suite: Suite, stream: np.random.Generator, size: int
) -> Iterator[tuple[int, list[OnDataset], list[OnDataset]]]:
    skills = [_normal(stream, size) for _ in range(2)]
    found: dict[int, tuple[list[OnDataset], list[OnDataset]]] = {n: ([], []) for n in SEEDS}
    pairs = zip(suite.worlds(suite.left), suite.worlds(suite.right), strict=True)
    for pair in pairs:
        shared = draw_samples(pair[0], stream, size)
        for side, world in enumerate(pair):
            own = draw_samples(world, stream, size)
            samples = (math.sqrt(_SHARED) * shared + math.sqrt(1 - _SHARED) * own).astype(
                np.float32
            )
            given = skills[side] if suite.skills == "alike" else None
            hits = draw_hits(world, stream, samples, SEEDS[-1], given)
            seed_means = hits.mean(-1)
            for seeds, measured in zip(SEEDS, measure_hits(world, hits, SEEDS), strict=True):
                found[seeds][side].append(OnDataset(measured, seed_means[:, :seeds]))
    yield from ((seeds, left, right) for seeds, (left, right) in found.items())


def _normal(stream: np.random.Generator, size: int) -> Float:
    return stream.standard_normal((size, SEEDS[-1]), dtype=np.float32)


def _cell(
    suite: Suite,
    seeds: int,
    mean: tuple[Array, Array],
    pooled: tuple[Array, Array],
    difference: tuple[Array, Array],
) -> SuiteCell:
    truth = float(np.mean(suite.left))
    return SuiteCell(
        suite=suite,
        seeds=seeds,
        coverage=_held(*mean, truth),
        pooled=_held(*pooled, truth),
        mean_width=float((mean[1] - mean[0]).mean()),
        difference_coverage=_held(*difference, truth - float(np.mean(suite.right))),
        rejected=float(((difference[0] > 0) | (difference[1] < 0)).mean()),
    )


def _held(low: Array, high: Array, truth: float) -> float:
    return float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())
