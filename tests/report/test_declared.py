"""One declaration decides in every table: places, intervals, gains, boards; no name does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from support.odd import METRICS
from support.report_values import asked, record, record_fusion

from mmlab.metric import ROBUSTNESS, Metric, under
from mmlab.records import EvaluationResult
from mmlab.report.boards.board import boards
from mmlab.report.boards.gain import gain_boards
from mmlab.report.boards.robustness import robustness, robustness_boards
from mmlab.report.gain import fusion_gain
from mmlab.report.leaderboard import leaderboard
from mmlab.statistics.shares import estimate_share
from mmlab.store import Store


def odd(
    misses: Sequence[float], declared: Sequence[Metric] = METRICS, **more: float
) -> EvaluationResult:
    """A result whose outcomes are minus these misses; "score" is their mean, "x/error" hits."""
    share = float(np.mean(misses))
    metrics = {"score": share, "x/error": 1 - share, **more}
    return replace(asked([-x for x in misses], metrics=metrics), declared=declared)


def record_pair(store: Store, declared: Sequence[Metric] = METRICS) -> None:
    record(store, odd([1.0, 1, 1, 0], declared, extra=3.0), cell="bad")
    record(store, odd([0.0, 0, 1, 0], declared, extra=4.0), cell="good")


def test_places_are_as_declared_whatever_the_names_say(store: Store) -> None:
    record_pair(store)
    board = leaderboard(store)
    places = board.filter(pl.col("place") == 1).select("metric", "cell").rows()
    assert places == [("score", "good"), ("x/error", "good")]
    assert board["better"].unique(maintain_order=True).to_list() == ["lower", "higher", None]


def test_a_board_is_ranked_by_the_first_declared_and_writes_the_declared_unit(
    store: Store,
) -> None:
    record_pair(store)
    (board,) = boards(store, leaderboard(store))
    assert board.metrics == ("score", "x/error", "extra", "time")
    assert "ranked by score" in board.notes
    assert [entry.label for entry in board.entries] == ["good", "bad"]
    texts = [[figure.text for figure in entry.figures[:3]] for entry in board.entries]
    assert texts[0] == ["25.0%", "0.75", "4"]


def test_outcomes_give_the_interval_of_the_metric_that_is_declared_to_be_their_mean(
    store: Store,
) -> None:
    outcomes = [0.5, 0.25, 0.75, 0.125] * 10
    record(store, odd(outcomes))
    board = leaderboard(store)
    assert board.select("metric", "interval").rows() == [("score", "samples"), ("x/error", "none")]
    expected = estimate_share(np.array([outcomes]), scale="bounded")
    assert board["high"][0] == pytest.approx(expected.high)


@pytest.mark.parametrize("declared", [(), (Metric("score"), Metric("x/error"))])
def test_without_a_direction_there_are_values_but_neither_places_nor_a_best(
    store: Store, declared: Sequence[Metric]
) -> None:
    record_pair(store, declared)
    board = leaderboard(store)
    assert board["place"].null_count() == len(board) == 6
    assert board["interval"].to_list() == ["none"] * 6
    (shown,) = boards(store, board)
    assert "ranked by" not in " ".join(shown.notes)
    assert f"not ranked: nobody declares which way {shown.main} is better" in shown.notes
    assert not any(figure.is_best for entry in shown.entries for figure in entry.figures)


def test_a_metric_without_a_direction_ranks_nothing_even_if_it_is_declared_first(
    sqlite_store: Store,
) -> None:
    record_pair(sqlite_store, (Metric("x/error"), METRICS[0]))
    (board,) = boards(sqlite_store, leaderboard(sqlite_store))
    assert board.metrics[0] == "score"


def test_the_newest_declaration_counts_for_all_rows_of_a_comparison(store: Store) -> None:
    record_pair(store, (Metric("score", "higher"),))
    record(store, odd([0.0, 0, 0, 0]), cell="best")
    found = leaderboard(store).filter(pl.col("metric") == "score")
    assert found["cell"].to_list() == ["best", "good", "bad"]


def test_gains_are_above_zero_where_the_declared_error_is_smaller(store: Store) -> None:
    for inputs, misses in (("text", [1.0, 1, 1, 0]), ("image+text", [0.0, 0, 1, 0])):
        record_fusion(store, "sum", inputs.split("+"), odd(misses))
    row = fusion_gain(store).row(0, named=True)
    assert (row["measure"], row["unit"], row["gain"]) == ("-score", "share", 0.5)
    (board,) = gain_boards(fusion_gain(store))
    assert board.entries[0].figures[0].text.startswith("+50.0")


def test_no_gain_is_told_of_a_metric_that_does_not_ask_for_it(store: Store) -> None:
    plain = tuple(replace(metric, has_gain=False) for metric in METRICS)
    for inputs in ("text", "image+text"):
        record_fusion(store, "sum", inputs.split("+"), odd([1.0, 0], plain))
    assert fusion_gain(store).is_empty()


def test_conditions_of_another_evaluator_stand_on_the_board_it_declares(store: Store) -> None:
    metrics = under("", [Metric("cost/worst", "lower")], ROBUSTNESS)
    for use, value in (("sum", 3.0), ("gating", 2.0)):
        result = asked([], metrics={"cost/worst": value}, options={"inputs": ["image"]})
        record_fusion(store, use, ["image"], replace(result, declared=metrics))
    assert list(boards(store, leaderboard(store))) == []
    (board,) = robustness_boards(robustness(store))
    assert [entry.label for entry in board.entries] == [
        "gating(image)",
        "sum(image)",
    ]


def test_ends_of_an_interval_belong_to_the_metric_that_they_are_declared_to_bound(
    store: Store,
) -> None:
    declared = (
        Metric("score", "lower"),
        Metric("below", low_of="score"),
        Metric("above", high_of="score"),
        Metric("x_low", "higher"),
    )
    metrics = {"score": 2.0, "below": 1.5, "above": 3.0, "x_low": 7.0}
    record(store, replace(asked([], metrics=metrics), declared=declared))
    board = leaderboard(store)
    assert board.select("metric", "low", "high", "interval").rows() == [
        ("score", 1.5, 3.0, "draws"),
        ("x_low", None, None, "none"),
    ]
