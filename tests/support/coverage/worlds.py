"""Worlds of hits and misses whose true accuracy is known, and draws from them.

Seed s hits sample i where mu + a_s + b_i + c_si + logistic noise > 0: a is normal among seeds, b
among samples (four fifths of its variance belong to the sample's cluster), c is the seed's own view
of the sample, of standard deviation 1. mu is chosen so that a new seed hits a new sample with the
stated accuracy.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

from mmlab.statistics.crossed import MeanSquares, Measured, mean_squares_of_sums
from mmlab.statistics.estimates import Array

Hits = npt.NDArray[np.uint8]

#: Counts of seeds; draws of the most seeds hold those of fewer as their first.
SEEDS = (1, 2, 3, 5, 10)
#: What share of the samples' variance is their cluster's.
_OF_CLUSTER = 0.8
#: Outcomes of a block, which the processor's cache should hold.
_BLOCK = 2_000_000
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


@dataclass(frozen=True)
class World:
    """One world; standard deviations are in logits, `cluster` is how many samples a cluster has."""

    accuracy: float
    samples: int
    seed_sd: float
    sample_sd: float
    cluster: int

    @property
    def clusters(self) -> int:
        """How many clusters a data set has."""
        return self.samples // self.cluster


def normal_mean(logit: float, deviation: float) -> float:
    """The mean of sigmoid(logit + normal noise)."""
    return float(expit(logit + deviation * _NODES) @ _WEIGHTS / _WEIGHTS.sum())


@functools.lru_cache
def logit_of(accuracy: float, deviation: float) -> float:
    """The mu of an accuracy, for the deviation of a, b and c together."""
    return float(brentq(lambda logit: normal_mean(logit, deviation) - accuracy, -60, 60))


@functools.lru_cache
def _noise_table() -> npt.NDArray[np.float32]:
    """The quantiles of c plus logistic noise: a draw of 16 bits is a place in it."""
    places = np.linspace(-14, 14, 4001)
    levels = (expit(places[:, None] - _NODES) @ _WEIGHTS) / _WEIGHTS.sum()
    return np.interp((np.arange(65536) + 0.5) / 65536, levels, places).astype(np.float32)


def _noise(stream: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    bits = np.frombuffer(stream.bytes(2 * math.prod(shape)), dtype=np.uint16)
    return _noise_table()[bits].reshape(shape)


def _normal(stream: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return stream.standard_normal(shape, dtype=np.float32)


def draw_samples(world: World, stream: np.random.Generator, sets: int) -> npt.NDArray[np.float32]:
    """What samples are like, (sets, samples), of variance 1; neighbours are one cluster."""
    if world.cluster == 1:
        return _normal(stream, (sets, world.samples))
    shared = _normal(stream, (sets, world.clusters, 1)) * np.float32(math.sqrt(_OF_CLUSTER))
    own = _normal(stream, (sets, world.clusters, world.cluster))
    return (shared + own * np.float32(math.sqrt(1 - _OF_CLUSTER))).reshape(sets, world.samples)


def draw_hits(
    world: World,
    stream: np.random.Generator,
    samples: npt.NDArray[np.float32],
    seeds: int,
    skills: npt.NDArray[np.float32] | None = None,
) -> Hits:
    """Hits in each cluster, (sets, seeds, clusters), on samples (sets, samples).

    `skills` are what seeds are like, (sets, seeds) of variance 1, where they are known.
    """
    deviation = math.sqrt(world.seed_sd**2 + world.sample_sd**2 + 1)
    drawn = _normal(stream, (len(samples), seeds)) if skills is None else skills
    of_seeds = np.float32(world.seed_sd) * drawn[..., None]
    logits = np.float32(world.sample_sd) * samples[:, None]
    logits = logits + np.float32(logit_of(world.accuracy, deviation)) + of_seeds
    hits = (logits + _noise(stream, logits.shape) > 0).view(np.uint8)
    parts = hits.reshape(*hits.shape[:2], world.clusters, world.cluster)
    return hits if world.cluster == 1 else parts.sum(-1, dtype=np.uint8)


def blocks(world: World, sets: int, seeds: int = SEEDS[-1]) -> Iterator[int]:
    """How many data sets to draw at a time."""
    size = max(1, _BLOCK // (world.samples * seeds))
    yield from (min(size, sets - start) for start in range(0, sets, size))


def measure_hits(world: World, hits: Hits, seeds: Sequence[int] = SEEDS) -> list[Measured]:
    """The first of the seeds measured, for each count of them; stacks of (sets,)."""
    of_seeds = hits.sum(-1, dtype=np.int64) / world.cluster
    squares = np.einsum("rsg,rsg->rs", hits, hits, dtype=np.float64) / world.cluster**2
    found = []
    for count in seeds:
        of_clusters = hits[:, :count].sum(1, dtype=np.uint8)
        profile = of_clusters / (count * world.cluster)
        cluster_square = np.einsum("rg,rg->r", profile, profile) * count**2
        square = squares[:, :count].sum(1)
        sums = of_seeds[:, :count], cluster_square, square
        found.append(Measured(profile, mean_squares_of_sums(*sums, world.clusters, world.samples)))
    return found


def concatenated(parts: Sequence[MeanSquares]) -> MeanSquares:
    """Blocks of data sets as one stack."""
    fields = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("mean", "of_seeds", "of_clusters", "of_rest")
    }
    return MeanSquares(
        **fields, seeds=parts[0].seeds, clusters=parts[0].clusters, samples=parts[0].samples
    )


def draw_recipes(world: World, stream: np.random.Generator, sets: int) -> dict[int, MeanSquares]:
    """Data sets of one recipe, measured, by the number of seeds."""
    found: dict[int, list[MeanSquares]] = {count: [] for count in SEEDS}
    for size in blocks(world, sets):
        hits = draw_hits(world, stream, draw_samples(world, stream, size), SEEDS[-1])
        for count, measured in zip(SEEDS, measure_hits(world, hits), strict=True):
            found[count].append(measured.squares)
    return {count: concatenated(parts) for count, parts in found.items()}


def mean_width(low: Array, high: Array) -> float:
    """The mean width of intervals."""
    return float((high - low).mean())
