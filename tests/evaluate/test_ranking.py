"""Ranks by counting, against slow loops that sort by (-score, id)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mmlab.evaluate import ranked as ranking
from mmlab.plugin import Calibration


def slow_order(row: list[float]) -> list[int]:
    return sorted(range(len(row)), key=lambda answer: (-row[answer], answer))


def tied_scores(rows: int, answers: int) -> Tensor:
    """Scores of few different values, so that ties are everywhere."""
    return torch.randint(0, 4, (rows, answers)).float()


def test_ranks_with_ties_are_those_of_a_sort_by_score_and_id() -> None:
    torch.manual_seed(0)
    scores, answers = tied_scores(60, 9), torch.randint(9, (60,))
    expected = [
        slow_order(row).index(answer) + 1
        for row, answer in zip(scores.tolist(), answers.tolist(), strict=True)
    ]
    assert ranking.ranks_of(scores, answers).tolist() == expected


@pytest.mark.parametrize("k", [1, 4, 9, 12])
def test_top_k_with_ties_is_the_start_of_a_sort_by_score_and_id(k: int) -> None:
    torch.manual_seed(1)
    scores = torch.cat([tied_scores(60, 9), torch.rand(20, 9), torch.zeros(2, 9)])
    expected = [slow_order(row)[:k] for row in scores.tolist()]
    assert ranking.top_k(scores, k).tolist() == expected


@given(
    st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 7.0]), min_size=6, max_size=6), min_size=1),
    st.integers(1, 7),
)
def test_the_first_of_top_k_has_rank_one_and_the_last_rank_k(
    rows: list[list[float]], k: int
) -> None:
    scores = torch.tensor(rows)
    top = ranking.top_k(scores, k)
    assert ranking.ranks_of(scores, top[:, 0]).eq(1).all()
    assert ranking.ranks_of(scores, top[:, -1]).eq(min(k, 6)).all()


def test_the_first_true_answer_is_the_one_a_sort_meets_first() -> None:
    torch.manual_seed(2)
    scores, is_true = tied_scores(80, 7), torch.rand(80, 7) < 0.4
    is_true[:, 3] = True
    expected = [
        next(answer for answer in slow_order(row) if true[answer])
        for row, true in zip(scores.tolist(), is_true.tolist(), strict=True)
    ]
    assert ranking.first_true(scores, is_true).tolist() == expected


def test_answers_that_all_score_minus_infinity_are_still_ranked_by_id() -> None:
    scores = torch.full((1, 4), -torch.inf)
    is_true = torch.tensor([[False, True, True, False]])
    best = ranking.first_true(scores, is_true)
    assert best.tolist() == [1]
    assert ranking.ranks_of(scores, best).tolist() == [2]


def test_a_tie_is_with_a_wrong_answer_only() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.5, 0.5]])
    is_true = torch.tensor([[True, False, False], [True, True, False], [True, False, False]])
    best = ranking.first_true(scores, is_true)
    assert ranking.have_ties(scores, best, is_true).tolist() == [True, False, False]


def test_softmax_probabilities_are_those_of_torch_and_sum_to_one() -> None:
    torch.manual_seed(3)
    scores, every = torch.rand(5, 8) * 2 - 1, torch.arange(8).expand(5, 8)
    found = ranking.probabilities(scores, every, Calibration(100.0))
    torch.testing.assert_close(found, torch.softmax(100 * scores.double(), 1).float())
    torch.testing.assert_close(found.sum(1), torch.ones(5))


def test_sigmoid_probabilities_are_independent_and_use_the_bias() -> None:
    scores, first = torch.tensor([[0.5, 9.0], [0.5, -9.0]]), torch.tensor([[0], [0]])
    found = ranking.probabilities(scores, first, Calibration(4.0, -2.0, "sigmoid"))
    assert found.tolist() == [[0.5], [0.5]]


def test_chunks_cover_every_row_once_and_hold_at_least_one() -> None:
    count, width = 10, ranking.CHUNK_ELEMENTS // 3
    slices = list(ranking.chunks(count, width))
    assert [row for part in slices for row in range(part.start, part.stop)] == list(range(count))
    assert {part.stop - part.start for part in slices[:-1]} == {3}
    assert len(list(ranking.chunks(2, 10 * ranking.CHUNK_ELEMENTS))) == 2
