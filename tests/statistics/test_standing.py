"""Rank groups: planted leaders, ties, rows of few seeds, and how often the best is kept."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats
from support.coverage import groups

from mmlab.statistics.crossed import measure_rows
from mmlab.statistics.differences import paired_difference
from mmlab.statistics.estimates import TOO_FEW_SAMPLES, UNEVEN
from mmlab.statistics.joint import compare_rows
from mmlab.statistics.standing import joint_differences, rank_groups


def board(logits: list[float], seeds: int = 3, samples: int = 400, seed_sd: float = 0.1) -> list:
    """Rows of hits that find the same samples hard."""
    draw = np.random.default_rng([12, seeds, samples, len(logits)])
    of_samples = 2 * draw.normal(size=samples)
    rows = []
    for logit in logits:
        of_seeds = seed_sd * draw.normal(size=(seeds, 1))
        chance = draw.logistic(size=(seeds, samples))
        rows.append((logit + of_samples + of_seeds + chance > 0).astype(float))
    return rows


def test_a_leader_far_ahead_stands_alone_and_the_others_below_it() -> None:
    found = rank_groups(board([4, 0, 0, 0]))
    assert found.tied == (True, False, False, False)
    assert (found.low[0], found.high[0]) == (1, 1)
    assert min(found.low[1:]) == 2
    assert found.words == "first: 1 of 4"


def test_rows_that_are_alike_are_tied() -> None:
    found = rank_groups(board([1] * 6))
    assert found.words == "tied for first: 6 of 6"
    assert (found.low, found.high) == ((1,) * 6, (6,) * 6)


def test_a_ladder_of_wide_steps_is_told_in_full() -> None:
    found = rank_groups(board([6, 3, 0, -3], samples=2000))
    assert found.low == found.high == (1, 2, 3, 4)


def test_a_copy_of_a_row_is_tied_with_it() -> None:
    rows = board([2, 0, -1])
    found = rank_groups([*rows, rows[0]])
    assert found.tied[0] == found.tied[3] is True
    assert (found.low[0], found.high[0]) == (found.low[3], found.high[3])


def test_the_order_of_rows_changes_no_verdict() -> None:
    rows = board([2, 1, 0, -1, -2])
    found, turned = rank_groups(rows), rank_groups(rows[::-1])
    assert turned.tied == found.tied[::-1]
    assert turned.low == found.low[::-1]
    assert turned.high == found.high[::-1]


def test_a_row_alone_is_first() -> None:
    found = rank_groups(board([1]))
    assert (found.tied, found.low, found.high) == ((True,), (1,), (1,))


def test_too_few_clusters_tell_nothing_apart() -> None:
    found = rank_groups(board([5, -5], samples=12), np.arange(12) // 3)
    assert found.reason == TOO_FEW_SAMPLES
    assert found.words == "tied for first: 2 of 2"


def test_a_copy_of_a_row_of_losses_spoils_no_other_verdict() -> None:
    """Their difference is 0 in every sample, and so is its error."""
    losses = np.random.default_rng(5).normal(size=(3, 60))
    far = losses - 2 - 0.1 * np.random.default_rng(6).normal(size=(3, 60))
    found = rank_groups([losses, losses, far], scale="unbounded")
    assert found.tied == (True, True, False)
    assert (found.low, found.high) == ((1, 1, 3), (2, 2, 3))
    same = rank_groups([losses[:1], losses[:1]], scale="unbounded")
    assert (same.low, same.high) == ((1, 1), (2, 2))


def test_a_group_of_half_the_samples_tells_nothing_apart() -> None:
    found = rank_groups(board([4, 0]), np.maximum(np.arange(400) - 200, 0))
    assert (found.words, found.reason) == ("tied for first: 2 of 2", UNEVEN)


def test_a_joint_table_says_where_a_single_difference_has_no_interval() -> None:
    """Two seeds beside one, and rows that are equal in every sample."""
    losses = np.random.default_rng(5).normal(size=(3, 60))
    (few,) = joint_differences([losses[:1], losses[1:]], [(0, 1)], scale="unbounded")
    assert (few.single.reason, few.low, few.high) == ("too few seeds", None, None)
    (same,) = joint_differences([losses, losses], [(0, 1)], scale="unbounded")
    assert (same.single.reason, same.low) == ("too few differences to tell", None)


def test_errors_are_those_of_each_pair_alone() -> None:
    """With the scatter of the seeds shared by all rows."""
    rows = board([1, 0.5, 0, 0])
    found = compare_rows(measure_rows(rows), draws=10)
    for i, j in ((0, 1), (2, 0), (3, 2)):
        pair = paired_difference(rows[i], rows[j], scatter=found.scatter)
        assert pair.low is not None
        assert pair.high is not None
        assert found.difference[i, j] == pytest.approx((pair.low + pair.high) / 2)
        p_value = pair.p_value
        t = abs(found.difference[i, j]) / found.error[i, j]
        freedom = np.arange(1.0, 2000)
        assert min(abs(2 * stats.t.sf(t, freedom) - p_value)) < 1e-3


def test_draws_have_the_variance_of_the_differences_without_the_pseudo_pairs() -> None:
    found = compare_rows(measure_rows(board([1, 0, 0], seeds=1, samples=2000)), draws=40_000)
    drawn = np.std(found.draws[0] - found.draws[1])
    assert drawn == pytest.approx(found.error[0, 1], rel=0.02)


def test_two_rows_of_one_seed_have_student_s_quantile() -> None:
    rows = board([1, 0], seeds=1, samples=60)
    (found,) = joint_differences(rows, [(0, 1)])
    assert None not in (found.low, found.high, found.single.low, found.single.high)
    assert found.low <= found.single.low
    width = found.single.high - found.single.low
    assert found.high - found.low == pytest.approx(width, rel=0.03)


def test_a_row_whose_seeds_scatter_more_is_marked_and_takes_none_along() -> None:
    rows = board([1] * 8)
    wild = board([1], seed_sd=3)[0]
    found, without = rank_groups([*rows, wild]), rank_groups(rows)
    assert found.scatters_more == (False,) * 8 + (True,)
    assert without.scatters_more == (False,) * 8
    assert found.tied[8]


def test_rows_may_have_different_seeds() -> None:
    rows = [board([4], seeds=1)[0], board([0], seeds=5)[0], board([0], seeds=2)[0]]
    assert rank_groups(rows).tied == (True, False, False)


def test_joint_intervals_are_wider_than_single_ones_and_no_less_than_bonferroni_asks() -> None:
    rows = board([1] * 13, seeds=1)
    found = joint_differences(rows, [(row, 0) for row in range(1, 13)])
    ratios = []
    for one in found:
        assert None not in (one.low, one.high, one.single.low, one.single.high)
        ratios.append((one.high - one.low) / (one.single.high - one.single.low))
    bonferroni = stats.t.ppf(1 - 0.025 / 12, 399) / stats.t.ppf(0.975, 399)
    assert 1.2 < np.mean(ratios) < bonferroni


def test_a_table_of_losses_knows_no_bounds() -> None:
    draw = np.random.default_rng(3)
    rows = [-(draw.normal(size=(3, 80)) ** 2) * scale for scale in (1, 1, 40)]
    found = joint_differences(rows, [(0, 1), (0, 2)], scale="unbounded")
    assert found[1].low > 1
    assert rank_groups(rows, scale="unbounded").tied == (True, True, False)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "sets"), [(3, 250), (13, 120)])
@pytest.mark.parametrize("ladder", ["equal", "ladder"])
def test_a_true_best_is_kept_and_all_ranks_are_held(
    rows: int, sets: int, ladder: groups.Ladder
) -> None:
    found = groups.cell_of(groups.Board(rows, ladder, 0.1), rows, sets)
    # Three binomial deviations of as many data sets.
    assert found.kept >= 0.945 - 3 * (0.05 / sets) ** 0.5
    assert found.held >= 0.945 - 3 * (0.05 / sets) ** 0.5
    if ladder == "ladder" and rows == 13:
        assert found.tied < 5
        assert found.length < 9


@pytest.mark.slow
def test_two_hundred_rows_take_a_fifth_of_a_second() -> None:
    rows = board([0.01 * row for row in range(200)], samples=1000)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        rank_groups(rows)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.4  # twice as long, for machines that are slower
