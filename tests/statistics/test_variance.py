"""Shrunk mean squares, pooled scatter of seeds, and rows whose seeds scatter more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.variance import (
    board_scatter,
    pooled_scatter,
    scattered_more,
    shrink,
    shrink_by,
    upper_square,
    variance_of_mean,
)


def table(seeds: int, samples: int, seed_sd: float, key: int, logit: float = 1.0) -> np.ndarray:
    draw = np.random.default_rng([5, key])
    logits = logit + seed_sd * draw.normal(size=(seeds, 1)) + draw.normal(size=samples)
    return (logits + draw.logistic(size=(seeds, samples)) > 0).astype(float)


def test_shrinking_is_adding_clusters_that_are_all_right_and_all_wrong() -> None:
    outcomes = table(3, 20, 0.2, 0)
    added = np.hstack([outcomes, np.ones((3, 2)), np.zeros((3, 2))])
    found, expected = shrink_by(measure(outcomes).squares, 4), measure(added).squares
    assert found.mean == pytest.approx(expected.mean)
    assert found.of_seeds == pytest.approx(expected.of_seeds)
    assert found.of_clusters == pytest.approx(expected.of_clusters)
    assert found.of_rest == pytest.approx(expected.of_rest)
    assert found.clusters == expected.clusters


def test_means_without_bounds_are_not_shrunk() -> None:
    squares = measure(np.random.default_rng(0).normal(size=(3, 9))).squares
    found = shrink(squares, "unbounded")
    assert found.of_seeds == pytest.approx(squares.of_seeds)
    assert found.of_clusters == pytest.approx(squares.of_clusters)
    assert found.of_rest == pytest.approx(squares.of_rest)


def test_no_variance_is_zero_when_all_seeds_agree() -> None:
    squares = measure(np.ones((3, 30))).squares
    assert variance_of_mean(squares, shrink(squares, "share"), "share").total > 0


def test_one_seed_has_the_freedom_of_its_samples() -> None:
    squares = measure(table(1, 50, 0.0, 1)).squares
    found = variance_of_mean(squares, shrink(squares, "share"), "share")
    assert found.freedom == pytest.approx(49)
    assert found.of_seeds == 0


def test_the_freedom_is_at_least_that_of_the_seeds_and_at_most_all_of_it() -> None:
    squares = stacked([measure(table(3, 40, sd, 2)).squares for sd in (0.0, 1.0, 8.0)])
    freedom = variance_of_mean(squares, shrink(squares, "share"), "share").freedom
    assert (freedom >= 2).all()
    assert (freedom <= 2 + 39 + 78).all()
    assert freedom[0] > freedom[2]


def test_the_upper_mean_square_of_shares_is_the_median_unbiased_one() -> None:
    for freedom in (1.0, 2.0, 9.0):
        square = stats.chi2.ppf(0.5, freedom) / freedom  # the median, for an expectation of 1
        assert upper_square(np.float64(square), np.float64(freedom), "share") == pytest.approx(1)
        wider = upper_square(np.float64(square), np.float64(freedom), "unbounded")
        assert wider > 1.2


def test_pooled_scatter_finds_the_planted_variance_at_every_level() -> None:
    tables = [table(10, 2000, 0.5, key, logit) for key, logit in enumerate([-1, 0, 1, 2] * 10)]
    found = pooled_scatter(stacked([measure(one).squares for one in tables]))
    # A seed's effect on a share is its logit's times the mean slope over samples, which is below
    # the slope of the mean: for samples of variance 1 the ratio is that of these two integrals.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    ratios = []
    for logit in (-1, 0, 1, 2):
        chances = expit(logit + np.sqrt(1.25) * nodes)
        share = chances @ weights
        ratios.append((chances * (1 - chances) @ weights) ** 2 / (share * (1 - share)) ** 2)
    assert found.freedom == 40 * 9
    assert found.variance == pytest.approx(0.25 * np.mean(ratios), rel=0.15)


def test_two_rows_make_no_pool_and_one_seed_is_no_row_of_it() -> None:
    rows = [measure(table(seeds, 30, 0.1, key)).squares for key, seeds in enumerate([3, 2, 1, 1])]
    assert board_scatter(stacked(rows)) is None
    found = board_scatter(stacked([*rows, measure(table(3, 30, 0.1, 9)).squares]))
    assert found is not None
    assert found.freedom == 2 + 1 + 2


def test_a_row_that_diverged_is_no_part_of_the_pool() -> None:
    rows = [measure(table(3, 30, 0.1, key)).squares for key in range(3)]
    lost = measure(np.full((3, 30), np.nan)).squares
    found, expected = board_scatter(stacked([*rows, lost])), board_scatter(stacked(rows))
    assert found == expected


def test_seeds_that_scatter_more_are_told_from_those_that_scatter_alike() -> None:
    rows = [measure(table(3, 300, 0.1, key)).squares for key in range(8)]
    wild = measure(table(3, 300, 2.0, 20)).squares
    assert scattered_more(stacked([*rows, wild])).tolist() == [False] * 8 + [True]
    assert not scattered_more(stacked(rows)).any()
