"""Suites in reports: the mean over datasets with its interval, or words where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.report_values import ranked, record

from mmlab.records import EvaluationResult
from mmlab.report.boards.board import Board, boards
from mmlab.report.leaderboard import leaderboard
from mmlab.report.render.files import write_report
from mmlab.statistics.suites import estimate_suite, measure_dataset
from mmlab.store import Store

KEYS = ("easy", "hard")
SHARES = {"easy": 0.9, "hard": 0.5}


def asked(key: str, ranks: Sequence[int], suite: Sequence[str] = KEYS) -> EvaluationResult:
    """A result on one dataset of the suite "vtab"."""
    made = ranked(ranks, name=f"vtab/{key}", protocol={"evaluator": "zero_shot", "data": key})
    return replace(made, suite=tuple(suite), dataset_revision=f"revision of {key}")


def plant(
    store: Store, cell: str, less: float = 0.0, keys: Sequence[str] = KEYS, seeds: int = 3
) -> dict[str, list[list[int]]]:
    """Runs of a recipe that is worse by `less` on each dataset; the ranks by dataset and seed."""
    found: dict[str, list[list[int]]] = {key: [] for key in keys}
    for seed in range(seeds):
        results = []
        for place, key in enumerate(keys):
            easy = np.random.default_rng(place).random(90)
            shaken = np.random.default_rng([seed, place, len(cell)]).normal(0, 0.05, 90)
            ranks = np.where(easy + shaken < SHARES.get(key, 0.7) - less, 1, 2).tolist()
            found[key].append(ranks)
            results.append(asked(key, ranks))
        record(store, *results, cell=cell, seed=seed)
    return found


def means(store: Store, metric: str = "top1") -> pl.DataFrame:
    """The rows of means over datasets."""
    found = leaderboard(store)
    is_mean = pl.col("suite").is_not_null() & pl.col("dataset").is_null()
    return found.filter(is_mean, pl.col("metric") == metric)


def test_the_mean_over_datasets_has_the_interval_of_the_statistics(store: Store) -> None:
    ranks = plant(store, "one")
    plant(store, "other", 0.3)
    first, second = means(store).to_dicts()
    assert (first["evaluation"], first["condition"]) == ("vtab", "mean over 2 datasets")
    assert (first["cell"], second["cell"]) == ("one", "other")
    hits = [np.array(ranks[key]) == 1 for key in KEYS]
    expected = estimate_suite([measure_dataset(one) for one in hits])
    assert first["mean"] == pytest.approx(expected.value)
    assert (first["low"], first["high"]) == pytest.approx((expected.low, expected.high))
    assert (first["interval"], first["samples"]) == ("seeds and samples", 180)
    assert (first["place"], first["rank_low"], first["rank_high"]) == (1, 1, 1)
    assert (first["is_best"], second["is_best"]) == (True, False)


def test_members_are_results_of_their_own_with_their_own_boards(sqlite_store: Store) -> None:
    plant(sqlite_store, "one")
    found = leaderboard(sqlite_store).filter(pl.col("metric") == "top1")
    assert found.select("evaluation", "suite", "dataset").rows() == [
        ("vtab", "vtab", None),
        ("vtab/easy", "vtab", "easy"),
        ("vtab/hard", "vtab", "hard"),
    ]
    assert found["protocol_hash"].n_unique() == 3


def test_without_one_of_the_datasets_there_is_no_mean_and_words_say_so(store: Store) -> None:
    plant(store, "whole")
    plant(store, "part", keys=KEYS[:1])
    rows = {row["cell"]: row for row in means(store).to_dicts()}
    assert (rows["part"]["mean"], rows["part"]["interval"]) == (None, "none")
    assert rows["part"]["reason"].startswith("lacks hard: ")
    assert rows["whole"]["mean"] is not None
    assert rows["whole"]["protocol_hash"] == rows["part"]["protocol_hash"]
    (board,) = [one for one in boards(store, leaderboard(store)) if "mean over" in one.title]
    assert any("no mean of emoji · part: it lacks hard" in note for note in board.notes)


def test_a_run_that_lacks_a_dataset_by_itself_is_told_too(sqlite_store: Store) -> None:
    plant(sqlite_store, "part", keys=KEYS[:1])
    (row,) = means(sqlite_store).to_dicts()
    assert (row["mean"], row["condition"]) == (None, "mean over 2 datasets")
    assert row["reason"].startswith("lacks hard")


def test_a_seed_that_was_not_asked_every_dataset_leaves_the_mean_out(sqlite_store: Store) -> None:
    plant(sqlite_store, "one", seeds=2)
    record(sqlite_store, asked("easy", [1] * 90), cell="one", seed=2)
    (row,) = means(sqlite_store).to_dicts()
    assert (row["mean"], row["reason"]) == (None, "not every seed was asked every dataset")


def test_datasets_that_were_asked_otherwise_are_another_comparison(sqlite_store: Store) -> None:
    plant(sqlite_store, "one")
    other = [replace(asked(key, [1, 2] * 45), protocol={"odd": key}) for key in KEYS]
    record(sqlite_store, *other, cell="odd")
    assert means(sqlite_store)["protocol_hash"].n_unique() == 2
    assert means(sqlite_store)["place"].to_list() == [1, 1]
    found = [one for one in boards(sqlite_store, leaderboard(sqlite_store)) if one.main == "top1"]
    whole = [one for one in found if "mean over" in one.title]
    assert ["dataset easy and dataset hard" in " ".join(one.notes) for one in whole] == [True, True]


def test_where_datasets_are_ordered_by_metrics_of_their_own_the_mean_is_of_these(
    sqlite_store: Store,
) -> None:
    for seed in range(2):
        easy, hard = (asked(key, [1, 2, 1, 6, 1, 6] * 10) for key in KEYS)
        record(sqlite_store, replace(easy, main_metric="top5"), hard, seed=seed)
    (row,) = means(sqlite_store, "main metrics").to_dicts()
    assert row["mean"] == pytest.approx((4 / 6 + 3 / 6) / 2)
    assert row["low"] < row["mean"] < row["high"]
    (board,) = [
        one for one in boards(sqlite_store, leaderboard(sqlite_store)) if "mean" in one.title
    ]
    assert board.main == "main metrics"


def board_of(store: Store) -> Board:
    """The board of means."""
    return next(one for one in boards(store, leaderboard(store)) if "mean over" in one.title)


def test_the_board_has_the_mean_and_a_column_for_each_dataset(sqlite_store: Store) -> None:
    plant(sqlite_store, "one")
    plant(sqlite_store, "other", 0.3)
    board = board_of(sqlite_store)
    assert board.title == "vtab · mean over 2 datasets · test"
    assert board.metrics[:3] == ("top1", "easy", "hard")
    by_hand = leaderboard(sqlite_store).filter(metric="top1", cell="one", dataset="hard")
    assert board.entries[0].figures[2].value == by_hand["mean"][0]
    assert board.entries[0].figures[0].value == pytest.approx(means(sqlite_store)["mean"][0])
    assert any("these datasets" in note for note in board.notes)


@pytest.mark.parametrize("ending", ["md", "html", "csv", "json", "parquet"])
def test_every_format_has_the_mean(sqlite_store: Store, tmp_path: Path, ending: str) -> None:
    plant(sqlite_store, "one")
    path = tmp_path / f"report.{ending}"
    write_report(sqlite_store, None, path)
    value = means(sqlite_store)["mean"][0]
    if ending == "parquet":
        rows = pl.read_parquet(path)
        assert value in rows.filter(evaluation="vtab", metric="top1")["mean"].to_list()
    elif ending == "json":
        document = json.loads(path.read_text())["leaderboard"]
        assert value in [row["mean"] for row in document if row["evaluation"] == "vtab"]
    else:
        assert "mean over 2 datasets" in path.read_text()


def test_a_name_of_another_tool_with_a_slash_is_no_suite(sqlite_store: Store) -> None:
    record(sqlite_store, replace(asked("easy", [1, 2] * 20), suite=()))
    found = leaderboard(sqlite_store)
    assert found["suite"].null_count() == found["dataset"].null_count() == len(found) > 0


def test_what_sections_of_one_dataset_are_asked_has_no_mean(sqlite_store: Store) -> None:
    section = replace(asked("easy", [1, 2] * 20), condition="spring", suite=())
    record(sqlite_store, asked("easy", [1, 2] * 20), asked("hard", [1, 2] * 20), section)
    assert means(sqlite_store)["condition"].to_list() == ["mean over 2 datasets"]
