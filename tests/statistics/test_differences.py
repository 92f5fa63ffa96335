"""Differences: closed forms, scipy, published examples, and what marks one that cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.coverage.usual import wilson_interval

from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.differences import (
    TOO_FEW_DIFFERENCES,
    paired_difference,
    unpaired_difference,
    unpaired_limits,
)
from mmlab.statistics.estimates import TOO_FEW_SAMPLES, UNEVEN
from mmlab.statistics.variance import board_scatter


def hits(logit: float, seeds: int, samples: int = 150, key: int = 0) -> np.ndarray:
    """Of recipes that find the same samples hard."""
    of_samples = np.random.default_rng([10, samples]).normal(size=samples)
    draw = np.random.default_rng([11, key, seeds])
    logits = logit + 2 * of_samples + 0.2 * draw.normal(size=(seeds, 1))
    return (logits + draw.logistic(size=(seeds, samples)) > 0).astype(float)


def test_one_seed_each_is_the_adjusted_wald_interval_of_the_fourfold_table() -> None:
    """Bonett and Price (2012), with Student's quantile and the sample variance."""
    left, right = hits(1, 1), hits(0, 1, key=1)
    gained, lost = ((left > right).sum(), (left < right).sum())
    size = 152
    centre = (gained - lost) / size
    variance = (gained + lost + 2 - (gained - lost) ** 2 / size) / (size - 1) / size
    half = stats.t.ppf(0.975, 149) * variance**0.5
    found = paired_difference(left, right)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half))
    assert found.p_value == pytest.approx(2 * stats.t.sf(centre / variance**0.5, 149))
    assert found.value == pytest.approx((gained - lost) / 150)
    assert found.differing == gained + lost
    assert found.covers == "samples"


def test_losses_of_one_seed_and_many_samples_are_the_library_s_paired_t_interval() -> None:
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(2, 2400))
    expected = stats.ttest_rel(left, right)
    interval = expected.confidence_interval(0.95)
    found = paired_difference(left[None], right[None], scale="unbounded")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_left_minus_right_is_minus_right_minus_left() -> None:
    left, right = hits(1, 3), hits(0, 2, key=1)
    one, other = paired_difference(left, right), paired_difference(right, left)
    assert None not in (one.low, one.high)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))
    assert other.p_value == pytest.approx(one.p_value)
    assert (one.seeds, other.seeds) == ((3, 2), (2, 3))


def test_the_order_of_seeds_says_nothing_because_they_are_not_paired() -> None:
    left, right = hits(1, 3), hits(0, 3, key=1)
    one, other = paired_difference(left, right), paired_difference(left, right[::-1])
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_what_a_sample_is_like_cancels() -> None:
    left, right = hits(1, 3), hits(0.3, 3, key=1)
    paired, unpaired = paired_difference(left, right), unpaired_difference(left, right)
    assert None not in (paired.low, paired.high, unpaired.low, unpaired.high)
    assert paired.high - paired.low < 0.9 * (unpaired.high - unpaired.low)
    assert paired.value == unpaired.value


def test_equal_hits_of_one_seed_are_too_few_differences_and_never_certain() -> None:
    found = paired_difference(hits(1, 1), hits(1, 1))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert (found.differing, found.reason) == (0, TOO_FEW_DIFFERENCES)
    assert not found.is_real


def test_a_planted_difference_is_real_and_none_is_not() -> None:
    assert paired_difference(hits(2, 3), hits(0, 3, key=1)).is_real
    assert not paired_difference(hits(1, 3), hits(1, 3, key=1)).is_real


def test_clusters_widen_the_interval() -> None:
    left, right = (np.repeat(one, 5, axis=1) for one in (hits(1, 1, 60), hits(0, 1, 60, key=1)))
    found = paired_difference(left, right, np.arange(300) // 5)
    naive = paired_difference(left, right)
    assert None not in (found.low, found.high, naive.low, naive.high)
    assert found.high - found.low > 1.8 * (naive.high - naive.low)


def test_one_seed_against_several_says_that_it_is_one_model() -> None:
    found = paired_difference(hits(1, 1), hits(0, 5, key=1))
    assert found.covers == "samples"
    assert found.advice == "more seeds of the side that has one; they are not in it"


def test_a_board_s_scatter_takes_the_place_of_the_two_sides_own() -> None:
    rows = [hits(1, 2, key=key) for key in range(12)]
    scatter = board_scatter(stacked([measure(one).squares for one in rows]))
    widths = []
    for pool in (None, scatter):
        found = [paired_difference(rows[0], row, scatter=pool) for row in rows[1:]]
        widths.append(np.median([(one.high or 0) - (one.low or 0) for one in found]))
    assert widths[1] < 0.9 * widths[0]


def test_few_clusters_and_diverged_seeds_have_no_interval() -> None:
    few = paired_difference(hits(1, 3, 4), hits(0, 3, 4, key=1))
    assert (few.covers, few.reason, few.p_value) == ("none", TOO_FEW_SAMPLES, None)
    lost = hits(0, 3, key=1)
    lost[0] = np.nan
    assert paired_difference(hits(1, 3), lost).reason == "not finite"
    assert unpaired_difference(lost, hits(1, 3)).reason == "not finite"


def test_unpaired_limits_are_those_of_newcombe_s_example() -> None:
    """Newcombe (1998), table II, method 10: 56 of 70 against 48 of 80."""
    hits, counts = np.array([56.0, 48.0]), np.array([70.0, 80.0])
    low, high = wilson_interval(hits, counts)
    left, right = ((hits[i] / counts[i], low[i], high[i]) for i in range(2))
    assert unpaired_limits(left, right) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_unpaired_sides_may_differ_in_everything() -> None:
    found = unpaired_difference(hits(2, 3, 90), hits(0, 5, 150), (np.arange(90) // 3, None))
    assert (found.seeds, found.samples, found.clusters) == ((3, 5), 90, 30)
    assert found.is_real
    draw = np.random.default_rng(1)
    losses = draw.normal(size=(3, 60)), draw.normal(size=(3, 80)) + 2
    assert unpaired_difference(*losses, scale="unbounded").high < 0


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("differ", [0, 5])
def test_losses_that_hardly_differ_leave_no_interval_of_their_difference(
    seeds: int, differ: int
) -> None:
    left = np.random.default_rng(3).normal(size=(seeds, 60))
    right = left.copy()
    right[:, :differ] += np.arange(1, differ + 1)
    found = paired_difference(left, right, scale="unbounded")
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.reason == TOO_FEW_DIFFERENCES
    assert not found.is_real


def test_equal_numbers_in_0_to_1_are_too_few_differences() -> None:
    values = np.random.default_rng(3).random((3, 60))
    found = paired_difference(values, values, scale="bounded")
    assert found.low is not None
    assert found.low < 0
    assert found.reason == TOO_FEW_DIFFERENCES


def test_a_group_of_half_the_samples_tells_no_difference() -> None:
    ids = np.maximum(np.arange(150) - 75, 0)
    assert paired_difference(hits(1, 3), hits(0, 3), ids).reason == UNEVEN
    assert unpaired_difference(hits(1, 3), hits(0, 3), (ids, ids)).reason == UNEVEN


def test_infinite_outcomes_are_told_and_raise_no_warning() -> None:
    diverged = hits(1, 3)
    diverged[1] = np.inf
    assert paired_difference(diverged, hits(0, 3), scale="unbounded").reason == "not finite"
