"""Intervals of shares: the score equation, Poisson's tails, and what marks one that says little."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.estimates import TOO_FEW_SAMPLES, TOO_FEW_SEEDS, UNEVEN
from mmlab.statistics.shares import estimate_share, estimate_shares, share_limits
from mmlab.statistics.variance import board_scatter


def hits(share: float, shape: tuple[int, int], key: int = 0) -> np.ndarray:
    draw = np.random.default_rng([6, key])
    levels = draw.random(shape[1]) + 0.1 * draw.normal(size=shape)
    return (levels + 0.03 * draw.normal(size=(shape[0], 1)) < share).astype(float)


def test_ends_solve_the_score_equation_of_the_effective_size() -> None:
    found = share_limits(measure(hits(0.7, (3, 60))).squares)
    share = hits(0.7, (3, 60)).mean()
    for end in (found.low, found.high):
        score = abs(share - end) / np.sqrt(end * (1 - end) / found.effective_size)
        assert score == pytest.approx(stats.t.ppf(0.975, found.freedom))


def test_one_seed_and_many_samples_are_the_library_s_wilson_interval() -> None:
    outcomes = hits(0.7, (1, 20_000))
    found = estimate_share(outcomes)
    expected = stats.binomtest(int(outcomes.sum()), 20_000).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2e-6)
    assert found.covers == "samples"
    assert found.estimand == "this model, new samples; another seed is not in it"


def test_few_misses_reach_as_far_as_a_poisson_count_s() -> None:
    outcomes = np.ones((1, 200))
    outcomes[0, 0] = 0
    found = share_limits(measure(outcomes).squares)
    misses = 0.005 * found.effective_size
    assert found.high == 1 - stats.chi2.ppf(0.05, 2 * misses) / 2 / found.effective_size


def test_an_interval_reaches_the_end_when_all_seeds_agree_and_says_so_by_its_width() -> None:
    found = estimate_share(np.ones((3, 30)))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.874, abs=5e-4)


def test_hits_and_misses_are_two_names_of_one_thing() -> None:
    outcomes = hits(0.9, (3, 40))
    one, other = estimate_share(outcomes), estimate_share(1 - outcomes)
    assert one.low is not None
    assert one.high is not None
    assert (other.low, other.high) == pytest.approx((1 - one.high, 1 - one.low))


def test_captions_of_one_picture_are_not_so_many_samples() -> None:
    pictures = hits(0.7, (1, 60))
    captions = np.repeat(pictures, 5, axis=1)
    one = estimate_share(captions, np.repeat(np.arange(60), 5))
    naive = estimate_share(captions)
    alone = share_limits(measure(pictures).squares, "bounded")
    assert (one.samples, one.clusters) == (300, 60)
    assert one.low is not None
    assert naive.low is not None
    assert one.low < naive.low
    assert one.low == pytest.approx(float(alone.low), abs=0.01)


def test_a_board_s_scatter_serves_rows_that_are_not_apart_from_it() -> None:
    rows = stacked([measure(hits(0.7, (2, 200), key)).squares for key in range(12)])
    pool = board_scatter(rows)
    alone, pooled = share_limits(rows), share_limits(rows, scatter=pool)
    is_own = (alone.low == pooled.low) & (alone.high == pooled.high)
    assert pool is not None
    assert 0 < is_own.sum() < 12
    assert (pooled.freedom[is_own] < 2).all()
    assert (pooled.freedom[~is_own] > pool.freedom).all()


def test_five_seeds_tell_enough_of_themselves() -> None:
    pool = board_scatter(stacked([measure(hits(0.7, (5, 200), k)).squares for k in range(9)]))
    five = hits(0.7, (5, 200))
    assert estimate_share(five, scatter=pool) == estimate_share(five)


def test_a_third_seed_is_advised_where_two_leave_more_open_than_the_samples() -> None:
    apart = np.concatenate([hits(0.6, (1, 200), 1), hits(0.8, (1, 200), 2)])
    assert estimate_share(apart).advice == "a third seed would about halve this"
    assert estimate_share(np.repeat(apart[:1], 2, axis=0)).advice is None


def test_a_stack_is_estimated_as_each_of_its_rows() -> None:
    rows = [hits(0.7, (seeds, 50), seeds) for seeds in (1, 2, 5)]
    found = estimate_shares(stacked([measure(one).squares for one in rows]))
    assert found == [estimate_share(one) for one in rows]


def test_four_clusters_carry_no_interval() -> None:
    found = estimate_share(hits(0.5, (3, 12)), np.arange(12) // 3)
    assert (found.low, found.high, found.covers) == (None, None, "none")
    assert found.reason == TOO_FEW_SAMPLES
    assert found.advice == "it needs at least 5 independent groups of samples, here are 4"
    one = estimate_share(np.ones((1, 1)))
    assert one.advice == "it needs at least 5 samples, here are 1"


def test_a_wide_interval_is_marked_with_what_would_help() -> None:
    samples = estimate_share(hits(0.5, (1, 12)))
    assert samples.covers == "samples"
    assert samples.reason == TOO_FEW_SAMPLES
    seeds = np.concatenate([hits(0.1, (1, 150), 1), hits(0.9, (1, 150), 2)])
    found = estimate_share(seeds)
    assert found.reason == TOO_FEW_SEEDS
    assert found.advice == "a third seed would about halve this"


def test_a_diverged_seed_is_not_averaged_away() -> None:
    outcomes = hits(0.7, (3, 50))
    outcomes[1] = np.nan
    found = estimate_share(outcomes)
    assert (found.covers, found.reason, found.seeds) == ("none", "not finite", 3)


def test_a_group_of_half_the_samples_leaves_no_interval_of_a_share() -> None:
    found = estimate_share(hits(0.7, (3, 100)), np.maximum(np.arange(100) - 50, 0))
    assert (found.low, found.covers, found.clusters) == (None, "none", 50)
    assert found.reason == UNEVEN
    assert found.value == pytest.approx(hits(0.7, (3, 100)).mean())
