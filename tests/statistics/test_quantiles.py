"""Woodruff's intervals of quantiles, beside the exact ones of one seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmlab.statistics.quantiles import estimate_quantile


def ranks(seeds: int, samples: int) -> np.ndarray:
    draw = np.random.default_rng([9, seeds, samples])
    return 1 + np.floor(np.exp(2 + draw.normal(size=samples) + draw.normal(size=(seeds, samples))))


def test_the_median_of_one_seed_has_nearly_the_exact_interval_of_the_library() -> None:
    values = np.random.default_rng(1).normal(size=401)
    found, ordered = estimate_quantile(values[None]), np.sort(values)
    expected = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert found.value == ordered[200]
    assert found.low is not None
    assert found.high is not None
    for end, exact in ((found.low, expected.low), (found.high, expected.high)):
        assert abs(np.searchsorted(ordered, end) - np.searchsorted(ordered, exact)) <= 2


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_rising_change_of_scale_changes_the_ends_alike(level: float) -> None:
    values = ranks(3, 80)
    found = estimate_quantile(values, level=level)
    logged = estimate_quantile(np.log(values), level=level)
    expected = np.log([found.value, found.low, found.high])
    assert (logged.value, logged.low, logged.high) == pytest.approx(tuple(expected))


def test_the_ends_are_outcomes_around_the_pooled_quantile() -> None:
    values = ranks(3, 80)
    found = estimate_quantile(values, level=0.5)
    assert found.value == np.sort(values, axis=None)[119]
    assert {found.low, found.high} <= set(values.ravel())
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_ranks_that_are_all_one_have_a_median_of_one() -> None:
    found = estimate_quantile(np.ones((3, 40)))
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_queries_of_one_picture_widen_the_interval() -> None:
    values = np.repeat(ranks(1, 60), 4, axis=1)
    found, naive = estimate_quantile(values, np.arange(240) // 4), estimate_quantile(values)
    assert found.clusters == 60
    assert None not in (found.low, found.high, naive.low, naive.high)
    assert found.low <= naive.low
    assert naive.high < found.high


def test_a_rank_that_is_not_a_number_leaves_no_interval() -> None:
    values = ranks(2, 40)
    values[1, 3] = np.nan
    assert estimate_quantile(values).reason == "not finite"


def test_a_rank_beyond_all_known_ones_is_counted_and_is_no_limit() -> None:
    values = ranks(3, 80)
    beyond = np.where(values > np.quantile(values, 0.9), np.inf, values)
    assert estimate_quantile(beyond) == estimate_quantile(values)
    found = estimate_quantile(beyond, level=0.88)
    assert (found.high, found.reason) == (None, "not finite")
    assert found.value == estimate_quantile(values, level=0.88).value


def test_two_seeds_that_differ_are_marked_with_what_would_help() -> None:
    apart = np.concatenate([ranks(1, 80), 9 * ranks(1, 80)])
    found = estimate_quantile(apart)
    assert found.advice == "a third seed would about halve this"


def test_a_group_of_half_the_samples_leaves_no_interval_of_a_median() -> None:
    ids = np.maximum(np.arange(80) - 40, 0)
    found = estimate_quantile(ranks(3, 80), ids)
    assert (found.low, found.reason) == (None, "too uneven groups of samples")
