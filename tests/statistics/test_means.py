"""Intervals of means without bounds: the bootstrap-t against a slow loop and Student's t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.estimates import (
    TOO_FEW_SAMPLES,
    TOO_FEW_SEEDS,
    TOO_FEW_VALUES,
    UNEVEN,
)
from mmlab.statistics.means import bootstrap_t_quantiles, estimate_mean, mean_limits
from mmlab.statistics.variance import board_scatter


def losses(seeds: int, samples: int, seed_sd: float = 0.1) -> np.ndarray:
    draw = np.random.default_rng([8, seeds, samples])
    logs = draw.normal(size=samples) + seed_sd * draw.normal(size=(seeds, 1))
    return np.exp(logs + 0.1 * draw.normal(size=(seeds, samples)))


def test_quantiles_of_t_are_those_of_a_slow_loop() -> None:
    values = losses(1, 25)[0]
    stream, found = np.random.default_rng(25), []
    for _ in range(400):
        resample = values[stream.integers(0, 25, 25)]
        found.append((resample.mean() - values.mean()) / (resample.std(ddof=1) / 5))
    low, high = bootstrap_t_quantiles(values[None], 400)
    assert (low[0], high[0]) == pytest.approx(np.quantile(found, [0.025, 0.975]))


def test_a_skewed_mean_reaches_further_up_than_down() -> None:
    found = estimate_mean(losses(1, 40))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.value > 1.3 * (found.value - found.low)


def test_shift_scale_and_sign_of_outcomes_are_those_of_the_interval() -> None:
    outcomes = losses(3, 60)
    found, moved = estimate_mean(outcomes), estimate_mean(7 - 3 * outcomes)
    assert found.low is not None
    assert found.high is not None
    assert (moved.high, moved.low) == pytest.approx((7 - 3 * found.low, 7 - 3 * found.high))


def test_many_samples_of_one_seed_have_student_s_interval() -> None:
    outcomes = losses(1, 2500)
    expected = stats.ttest_1samp(outcomes[0], 0).confidence_interval(0.95)
    found = estimate_mean(outcomes)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_outcomes_that_differ_by_seed_alone_have_student_s_limits_over_seeds() -> None:
    values = np.array([0.1, 0.2, 0.6])
    found = mean_limits(measure(np.tile(values[:, None], (1, 1, 50))))
    # The freedom is that of seeds, at least 2; all variance is theirs.
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (found.low[0], found.high[0]) == pytest.approx(expected)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("others", [0, 5])
def test_nearly_equal_outcomes_leave_no_interval(seeds: int, others: int) -> None:
    """Of sixty losses that all are .3 nobody knows how large the next is."""
    outcomes = np.full((seeds, 60), 0.3)
    outcomes[:, :others] += np.arange(1, others + 1)
    found = estimate_mean(outcomes)
    assert (found.low, found.high, found.covers) == (None, None, "none")
    assert found.reason == TOO_FEW_VALUES
    outcomes[:, :6] += np.arange(1, 7)
    assert estimate_mean(outcomes).reason is None


def test_equal_outcomes_of_unequal_groups_differ_by_no_rounding_error() -> None:
    groups = np.repeat(np.arange(25), np.arange(25) % 3 + 1)
    assert estimate_mean(np.full((3, len(groups)), 0.3), groups).reason == TOO_FEW_VALUES


def test_a_group_of_half_the_samples_leaves_no_interval() -> None:
    outcomes, ids = losses(3, 100), np.maximum(np.arange(100) - 50, 0)
    assert len(np.unique(ids)) == 50
    assert estimate_mean(outcomes, ids).reason == UNEVEN
    assert estimate_mean(outcomes, np.arange(100) // 2).reason is None


def test_two_seeds_of_their_own_are_too_few() -> None:
    found = estimate_mean(losses(2, 60))
    assert (found.covers, found.reason, found.advice) == ("none", TOO_FEW_SEEDS, "a third seed")
    rows = [measure(losses(2, 60) + shift).squares for shift in range(3)]
    lent = estimate_mean(losses(2, 60), scatter=board_scatter(stacked(rows), "unbounded"))
    assert lent.covers == "seeds and samples"
    assert estimate_mean(losses(1, 60)).covers == "samples"


def test_nineteen_clusters_carry_no_interval() -> None:
    found = estimate_mean(losses(3, 38), np.arange(38) // 2)
    assert (found.covers, found.reason) == ("none", TOO_FEW_SAMPLES)
    assert estimate_mean(losses(3, 40), np.arange(40) // 2).covers == "seeds and samples"
