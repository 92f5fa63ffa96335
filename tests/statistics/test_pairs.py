"""Exact tests and effect sizes of pairs, beside enumeration and formulas written out."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from mmlab.statistics.pairs import (
    chance_to_be_better,
    exact_mcnemar,
    permutation_of_ranks,
    standardised,
)


def hits(gained: int, lost: int, both: int = 10) -> tuple[list[int], list[int]]:
    """Left and right, of which right gained some samples and lost others."""
    left = [0] * gained + [1] * lost + [1] * both
    right = [1] * gained + [0] * lost + [1] * both
    return left, right


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 1), (2, 9), (7, 7)])
def test_mcnemar_is_the_binomial_sum(gained: int, lost: int) -> None:
    count, few = gained + lost, min(gained, lost)
    tail = sum(comb(count, k) for k in range(few + 1)) / 2**count
    expected = 1.0 if gained == lost else min(1.0, 2 * tail)
    assert exact_mcnemar(*hits(gained, lost)) == pytest.approx(expected)
    assert exact_mcnemar(*hits(lost, gained)) == pytest.approx(expected)


def test_few_ranks_are_permuted_exactly() -> None:
    """Eight samples: all 256 ways to flip their signs."""
    left = np.array([[1, 2, 1, 4, 3, 1, 2, 5]])
    right = np.array([[2, 4, 1, 9, 3, 2, 1, 8]])
    difference = (left - right)[0]
    flips = [np.dot(signs, difference) for signs in product((1, -1), repeat=8)]
    extreme = np.mean(np.abs(flips) >= abs(difference.sum()) - 1e-9)
    assert permutation_of_ranks(left, right) == pytest.approx(float(extreme))


def test_many_ranks_are_permuted_at_random_and_always_alike() -> None:
    stream = np.random.default_rng(3)
    left = stream.integers(1, 40, (2, 300))
    right = left + stream.integers(0, 3, (2, 300))
    found = [permutation_of_ranks(left, right) for _ in range(2)]
    assert found[0] == found[1] < 0.001
    assert permutation_of_ranks(left, left) == 1.0


def test_one_sample_shows_nothing() -> None:
    assert permutation_of_ranks(np.array([[1]]), np.array([[9]])) == 1.0


def test_the_effect_is_cohens_for_pairs() -> None:
    left, right = np.array([[1.0, 0, 1, 1]]), np.array([[0.0, 0, 0, 1]])
    difference = np.array([1.0, 0, 1, 0])
    assert standardised(left, right) == pytest.approx(0.5 / np.std(difference, ddof=1))
    assert standardised(left, left) is None


def test_the_chance_to_be_better_counts_pairs_of_seeds_and_ties_half() -> None:
    left = np.array([[1.0, 0, 1], [1, 1, 1]])
    right = np.array([[0.0, 0, 1], [1, 0, 0]])
    slow = [
        (a > b) + (a == b) / 2
        for row in left
        for other in right
        for a, b in zip(row, other, strict=True)
    ]
    assert chance_to_be_better(left, right) == pytest.approx(np.mean(slow))
    assert chance_to_be_better(left, right) + chance_to_be_better(right, left) == pytest.approx(1)
