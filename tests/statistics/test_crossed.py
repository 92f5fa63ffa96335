"""Mean squares against slow loops, and clusters whatever their names and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from mmlab.statistics.crossed import (
    MeanSquares,
    cluster_values,
    fields_of,
    mean_squares,
    mean_squares_of_sums,
    measure,
    stacked,
)

TABLE = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])


def assert_equal(found: MeanSquares, expected: MeanSquares) -> None:
    for name, value in fields_of(expected).items():
        assert fields_of(found)[name] == pytest.approx(value, abs=1e-12), name


def test_mean_squares_are_those_of_a_slow_loop() -> None:
    mean = sum(TABLE[s, i] for s in range(3) for i in range(4)) / 12
    of_seed = [sum(TABLE[s, i] for i in range(4)) / 4 for s in range(3)]
    of_sample = [sum(TABLE[s, i] for s in range(3)) / 3 for i in range(4)]
    rest = [TABLE[s, i] - of_seed[s] - of_sample[i] + mean for s in range(3) for i in range(4)]
    found = mean_squares(TABLE)
    assert found.mean == pytest.approx(mean)
    assert found.of_seeds == pytest.approx(4 * sum((x - mean) ** 2 for x in of_seed) / 2)
    assert found.of_clusters == pytest.approx(3 * sum((x - mean) ** 2 for x in of_sample) / 3)
    assert found.of_rest == pytest.approx(sum(x**2 for x in rest) / 6)


def test_sums_of_a_database_tell_the_same() -> None:
    square = np.square(TABLE.sum(0)).sum()
    found = mean_squares_of_sums(TABLE.sum(1), square, np.square(TABLE).sum(), 4, 4)
    assert_equal(found, mean_squares(TABLE))


def test_one_seed_leaves_nothing_of_seeds() -> None:
    found = mean_squares(TABLE[:1])
    assert (found.of_seeds, found.of_rest) == (0, 0)
    assert found.of_clusters == pytest.approx(TABLE[0].var(ddof=1))


def test_a_stack_of_tables_is_measured_one_by_one() -> None:
    tables = np.random.default_rng(0).random((5, 3, 8))
    assert_equal(measure(tables).squares, stacked([measure(one).squares for one in tables]))


def test_clusters_of_one_size_are_their_means() -> None:
    found = cluster_values(TABLE, [7, 3, 7, 3])
    assert found == pytest.approx(np.stack([TABLE[:, 1::2].mean(1), TABLE[:, ::2].mean(1)], 1))


def test_the_mean_over_clusters_is_the_mean_over_samples_whatever_their_sizes() -> None:
    outcomes = np.random.default_rng(1).random((2, 3, 40))
    ids = np.random.default_rng(2).integers(0, 9, 40)
    found = measure(outcomes, ids)
    assert found.squares.mean == pytest.approx(outcomes.mean((1, 2)))
    assert found.profile.shape == (2, 9)
    assert found.squares.cluster_size == pytest.approx(40 / 9)


def test_the_variance_over_unequal_clusters_is_the_jackknife_s() -> None:
    """Leave out one cluster at a time: (G - 1) / G times the sum of squares of what is left."""
    outcomes, ids = np.random.default_rng(3).random(30), np.arange(30) % 7 * (np.arange(30) > 9)
    names = np.unique(ids)
    groups = len(names)
    left = np.array([outcomes[ids != one].mean() for one in names])
    expected = (groups - 1) / groups * np.square(left - left.mean()).sum()
    found = measure(outcomes[None], ids).squares
    assert found.mean == pytest.approx(outcomes.mean())
    assert found.of_clusters / groups == pytest.approx(expected)


def test_names_and_order_of_clusters_say_nothing() -> None:
    draw = np.random.default_rng(4)
    outcomes, ids, order = draw.random((3, 20)), draw.integers(0, 6, 20), draw.permutation(20)
    named = np.array([f"picture {one}" for one in ids])
    found = measure(outcomes[:, order], named[order])
    assert_equal(found.squares, measure(outcomes, ids).squares)


def test_clusters_of_one_sample_each_are_the_samples() -> None:
    assert_equal(measure(TABLE, [3, 1, 0, 2]).squares, measure(TABLE).squares)
