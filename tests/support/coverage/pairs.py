"""Cells of differences: how often the interval holds the true one, and excludes 0."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mmlab.statistics.crossed import Measured
from mmlab.statistics.differences import unpaired_limits
from mmlab.statistics.estimates import Array
from mmlab.statistics.paired import paired_limits
from mmlab.statistics.shares import share_limits
from support.coverage.cells import CLUSTERS, SAMPLE_SDS, SAMPLES, SETS
from support.coverage.worlds import SEEDS, World, blocks, draw_hits, draw_samples, measure_hits

#: Accuracies of the two.
ACCURACIES = ((0.5, 0.5), (0.8, 0.8), (0.95, 0.95), (0.995, 0.995), (0.8, 0.7), (0.99, 0.95))
SEED_SDS = (0.0, 0.3)
#: What of the samples' variance two recipes share.
_SHARED = 0.8

Kind = Literal["paired", "unpaired"]
Limits = tuple[Array, Array]


@dataclass(frozen=True)
class Pair:
    """Two worlds that differ in their accuracy alone."""

    left: World
    right: World


@dataclass(frozen=True)
class PairCell:
    """`rejected` is the share of data sets whose interval excludes 0: type I error, or power."""

    pair: Pair
    kind: Kind
    seeds: int
    coverage: float
    rejected: float
    mean_width: float


def pairs() -> list[Pair]:
    """The whole grid."""
    axes = itertools.product(SAMPLES, CLUSTERS, SAMPLE_SDS, ACCURACIES, SEED_SDS)
    found = []
    for samples, cluster, sample_sd, (one, other), seed_sd in axes:
        left = World(one, samples, seed_sd, sample_sd, cluster)
        found.append(Pair(left, replace(left, accuracy=other)))
    return found


def quarter(grid: list[Pair]) -> list[Pair]:
    """Every fourth pair, shifted so that each value of each axis is among them."""
    return [pair for place, pair in enumerate(grid) if (place + place // 12) % 4 == 0]


def cells_of(pair: Pair, place: int, sets: int = SETS) -> Iterator[PairCell]:
    """Every kind and number of seeds; one seed only where seeds do not differ.

    Unpaired is each data set's left side with the right side of the next.
    """
    stream = np.random.default_rng([11, place])
    found: dict[tuple[Kind, int], list[Limits]] = defaultdict(list)
    for size in blocks(pair.left, sets):
        for seeds, left, right in _drawn(pair, stream, size):
            found["paired", seeds].append(_paired(left, right))
            found["unpaired", seeds].append(_unpaired(left, right))
    for (kind, seeds), parts in found.items():
        if seeds > 1 or not pair.left.seed_sd:
            low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
            yield _cell(pair, kind, seeds, low, high)


def _drawn(
    pair: Pair, stream: np.random.Generator, size: int
) -> Iterator[tuple[int, Measured, Measured]]:
    shared = draw_samples(pair.left, stream, size)
    drawn = []
    for world in (pair.left, pair.right):
        own = draw_samples(world, stream, size)
        samples = math.sqrt(_SHARED) * shared + math.sqrt(1 - _SHARED) * own
        hits = draw_hits(world, stream, samples.astype(np.float32), SEEDS[-1])
        drawn.append(measure_hits(world, hits))
    yield from zip(SEEDS, *drawn, strict=True)


def _paired(left: Measured, right: Measured) -> Limits:
    found = paired_limits(left, right)
    return found.low, found.high


def _unpaired(left: Measured, right: Measured) -> Limits:
    one, other = share_limits(left.squares), share_limits(right.squares)
    return unpaired_limits(
        (left.squares.mean, one.low, one.high),
        (np.roll(right.squares.mean, 1), np.roll(other.low, 1), np.roll(other.high, 1)),
    )


def _cell(pair: Pair, kind: Kind, seeds: int, low: Array, high: Array) -> PairCell:
    truth = pair.left.accuracy - pair.right.accuracy
    return PairCell(
        pair=pair,
        kind=kind,
        seeds=seeds,
        coverage=float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean()),
        rejected=float(((low > 0) | (high < 0)).mean()),
        mean_width=float((high - low).mean()),
    )
