from __future__ import annotations

import math

import pytest
from support.report_values import identity, ranked, record

import mmlab
from mmlab.report.frames import drawn_curves, label_table, rankings
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store


def test_curves_keep_every_point_and_say_which_is_no_number(sqlite_url: str) -> None:
    with mmlab.results(sqlite_url) as results:
        run = record(results.store, ranked([1]), curve=[2.0, math.nan, 1.0])
        curve = results.curves(run[:8])
        assert curve["value"].to_list() == [2.0, None, 1.0]
        assert curve["value_kind"].to_list() == ["finite", "nan", "finite"]
        assert curve["step"].to_list() == [0, 10, 20]


def test_cells_are_shown_with_the_runs_they_are_done_or_not(sqlite_url: str) -> None:
    with mmlab.results(sqlite_url) as results:
        run = record(results.store, ranked([1]), cell="one")
        waiting = results.store.submit(identity("emoji", "two", 5))
        frame = results.cells().select("cell", "seed", "run_id", "status")
        assert frame.rows() == [("one", 0, run, "done"), ("two", 5, waiting.run_id, "queued")]
        assert results.cells([run])["cell"].to_list() == ["one"]


def test_long_curves_are_averaged_over_equal_stretches(store: Store) -> None:
    for seed, lift in enumerate((0.0, 1.0)):
        record(store, ranked([1]), seed=seed, curve=[index + lift for index in range(100)])
    drawn = drawn_curves(store, points=10)
    assert drawn["low"].to_list() == [4.5 + 10 * index for index in range(10)]
    assert drawn["mean"].to_list() == [5.0 + 10 * index for index in range(10)]
    assert drawn["high"].to_list() == [5.5 + 10 * index for index in range(10)]
    assert drawn["step"].to_list() == [90 + 100 * index for index in range(10)]


def test_short_curves_are_drawn_point_by_point(store: Store) -> None:
    record(store, ranked([1]), curve=[3.0, math.inf, 1.0])
    assert drawn_curves(store, points=10)["mean"].to_list() == [3.0, None, 1.0]


def test_rankings_are_in_order_and_mark_the_truth(store: Store) -> None:
    run = record(store, ranked([2, 1]))
    frame = rankings(store, run, "zero_shot")
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5] * 2
    assert frame["label"].to_list()[:2] == ["dog", "cat"]
    assert frame["is_truth"].to_list() == [False, True, False, False, False, True, *[False] * 4]


def test_label_metrics_have_a_column_each_and_average_over_seeds(store: Store) -> None:
    for seed in range(2):
        record(store, ranked([1, 2]), seed=seed)
    table = label_table(store)
    assert table["label"].to_list() == ["cat", "dog", "owl", "fox", "bee", "ant"]
    assert table["recall"].to_list() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert table["runs"].to_list() == [2] * 6


def test_results_open_what_the_environment_names(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMLAB_DB", sqlite_url)
    with mmlab.results() as results:
        record(results.store, ranked([1, 2]))
        assert results.leaderboard().equals(leaderboard(results.store))
        assert "top1" in results._repr_html_()


def test_mmlab_has_no_other_attributes() -> None:
    assert "results" in dir(mmlab)
    with pytest.raises(AttributeError, match="no attribute 'result'"):
        mmlab.result  # noqa: B018  # the access is what raises
