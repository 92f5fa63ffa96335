"""The interval of a share and of a paired difference, worked out sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mmlab.statistics.differences import paired_difference
from mmlab.statistics.shares import estimate_share

Table = list[list[float]]


def outcomes(seeds: int, logit: float) -> np.ndarray:
    draw = np.random.default_rng([14, seeds])
    logits = (
        logit + 2 * np.random.default_rng(15).normal(size=90) + 1.5 * draw.normal(size=(seeds, 1))
    )
    return (logits + draw.logistic(size=(seeds, 90)) > 0).astype(float)


def by_cluster(table: np.ndarray, ids: list[int]) -> tuple[Table, float]:
    """Linearised cluster values of a jackknife, and a cluster's average number of samples."""
    names = sorted(set(ids))
    size = len(ids) / len(names)
    p = sum(sum(row) for row in table) / table.size
    others = {name: (len(ids) - ids.count(name)) / (len(ids) - size) for name in names}
    distances = [
        [
            sum(y - p for y, one in zip(row, ids, strict=True) if one == name) / size / others[name]
            for name in names
        ]
        for row in table
    ]
    shift = p - sum(map(sum, distances)) / len(distances) / len(names)
    return [[distance + shift for distance in row] for row in distances], size


def shrunk_squares(u: Table, c: float) -> tuple[float, float, float, float]:
    """The mean with c pseudo-clusters, and the mean squares of seeds, clusters and the rest."""
    seeds, clusters = len(u), len(u[0])
    p = sum(map(sum, u)) / seeds / clusters
    of_seed = [sum(row) / clusters for row in u]
    of_cluster = [sum(row[g] for row in u) / seeds for g in range(clusters)]
    a = clusters * sum((x - p) ** 2 for x in of_seed)
    b = seeds * sum((x - p) ** 2 for x in of_cluster)
    e = sum(
        (u[s][g] - of_seed[s] - of_cluster[g] + p) ** 2
        for s in range(seeds)
        for g in range(clusters)
    )
    h = clusters + c
    q = (clusters * p + c / 2) / h
    b += seeds * (clusters * (p - q) ** 2 + c / 2 * (q**2 + (1 - q) ** 2))
    free = max(seeds - 1, 1)
    return q, a * clusters / h / free, b / (h - 1), (e + a * c / h) / free / (h - 1)


def test_a_share_of_seeds_and_unequal_clusters() -> None:
    table, ids = outcomes(3, 1.5), [min(i // 2, 35) for i in range(90)]
    u, size = by_cluster(table, ids)
    clusters, c = len(u[0]), 2 / size / math.sqrt(3)
    q, a, b, e = shrunk_squares(u, c)
    a, b = max(a, e), max(b, e)
    variance = (a + b - e) / 3 / (clusters + c)
    upper = a * 2 / stats.chi2.ppf(0.5, 2)
    below = upper**2 / 2 + b**2 / (clusters - 1) + e**2 / 2 / (clusters - 1)
    freedom = max((upper + b - e) ** 2 / below, 2)
    n = q * (1 - q) / variance * clusters / (clusters + c)
    p, t = table.mean(), stats.t.ppf(0.975, freedom)
    middle = (p + t**2 / 2 / n) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * math.sqrt(p * (1 - p) / n + t**2 / 4 / n**2)
    found = estimate_share(table, ids)
    assert found.clusters == clusters == 36
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))


def test_a_paired_difference_of_three_seeds_and_of_two() -> None:
    left, right, ids = outcomes(3, 1.5), outcomes(2, 0.5), [i // 3 for i in range(90)]
    sides = [by_cluster(table, ids)[0] for table in (left, right)]
    means = [[sum(row[g] for row in u) / len(u) for g in range(30)] for u in sides]
    differences = [one - other for one, other in zip(*means, strict=True)]
    c = 2 / 3 / math.sqrt(2)
    h = 30 + c
    centre = sum(differences) / h
    total = sum((d - centre) ** 2 for d in differences)
    total += c / 2 * ((1 - centre) ** 2 + (1 + centre) ** 2)
    of_samples = total / (h - 1) / h
    above = slope = noise = 0.0
    kept = []
    for u in sides:
        seeds, own = len(u), 2 / 3 / math.sqrt(len(u))
        q, a, _, e = shrunk_squares(u, own)
        above += (seeds - 1) * (a - e)
        slope += (seeds - 1) * (30 + own) * (q * (1 - q)) ** 2
        noise += e / seeds / h
        kept.append((q * (1 - q)) ** 2 / seeds)
    of_seeds = max(above / slope, 0) * sum(kept) + noise
    assert of_seeds > noise
    upper = of_seeds * 3 / stats.chi2.ppf(0.5, 3)
    freedom = (of_samples - noise + upper) ** 2 / (of_samples**2 / 29 + upper**2 / 3)
    half = stats.t.ppf(0.975, max(freedom, 3)) * math.sqrt(of_samples + of_seeds - noise)
    found = paired_difference(left, right, ids)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))
