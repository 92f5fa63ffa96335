"""Intervals of paired differences: closed forms, scipy, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.coverage.usual import paired_interval


def test_one_seed_is_the_paired_t_interval_of_the_library() -> None:
    draw = np.random.default_rng(0)
    left, right = draw.normal(size=(2, 40))
    found = paired_interval((left - right)[None])
    expected = stats.ttest_rel(left, right).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.interval == "samples"


def test_seeds_that_agree_leave_the_interval_over_samples() -> None:
    draw = np.random.default_rng(0)
    row = draw.normal(size=40)
    alone, three = paired_interval(row[None]), paired_interval(np.tile(row, (3, 1)))
    assert three.interval == "seeds and samples"
    assert (three.mean, three.low, three.high) == pytest.approx((alone.mean, alone.low, alone.high))


def test_samples_that_agree_leave_the_interval_over_seeds() -> None:
    values = np.array([0.1, 0.2, 0.6])
    found = paired_interval(np.tile(values[:, None], (1, 50)))
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_mean_squares_are_those_of_a_slow_loop() -> None:
    d = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, -1.0], [0.0, 1.0, 0.0, 0.0]])
    mean = sum(d[s, i] for s in range(3) for i in range(4)) / 12
    of_seed = [sum(d[s, i] for i in range(4)) / 4 for s in range(3)]
    of_sample = [sum(d[s, i] for s in range(3)) / 3 for i in range(4)]
    ms_seed = 4 * sum((x - mean) ** 2 for x in of_seed) / 2
    ms_sample = 3 * sum((x - mean) ** 2 for x in of_sample) / 3
    ms_rest = (
        sum((d[s, i] - of_seed[s] - of_sample[i] + mean) ** 2 for s in range(3) for i in range(4))
        / 6
    )
    # The component of seeds would be negative here, so the interval is that over samples.
    assert ms_seed < ms_rest < ms_sample
    half = stats.t.ppf(0.975, 3) * (ms_sample / 12) ** 0.5
    found = paired_interval(d)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


def test_no_difference_at_all_is_certain() -> None:
    found = paired_interval(np.zeros((2, 5)))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_a_single_sample_has_no_interval() -> None:
    found = paired_interval(np.array([[0.5], [0.1]]))
    assert (found.mean, found.low, found.high, found.interval) == (0.3, None, None, "none")


@pytest.mark.parametrize("deviations", [(0.5, 3.0, 1.0), (0.0, 1.0, 1.0), (0.3, 0.0, 3.0)])
def test_the_interval_holds_the_true_mean_as_often_as_it_says(
    deviations: tuple[float, float, float],
) -> None:
    """4 seeds, 60 samples; deviations of seeds, samples and the rest. 1,000 tables each."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        seed, sample, rest = (
            deviation * draw.normal(size=size)
            for deviation, size in zip(deviations, [(4, 1), (1, 60), (4, 60)], strict=True)
        )
        found = paired_interval(0.7 + seed + sample + rest)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    # 95 % of 1,000 with a binomial deviation of 7; estimated components are conservative.
    assert held >= 930
