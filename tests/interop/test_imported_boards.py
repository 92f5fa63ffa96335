"""Where imported figures stand: beside one's own of the test set, and never ranked with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from support.published_figures import BENCHMARK, OPEN_CLIP, bring, call, read, write
from support.report_values import ranked, record

from mmlab.interop import clip_benchmark, open_clip
from mmlab.interop.importing import as_runs
from mmlab.report.boards.board import boards
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store


def test_imported_figures_compare_with_each_other_and_never_with_a_run(
    store: Store, tmp_path: Path
) -> None:
    record(store, ranked([1, 6]))
    ours = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    theirs = read(tmp_path, open_clip.read_results, OPEN_CLIP)
    store.add_imported([*as_runs(ours, "clip-benchmark"), *as_runs(theirs, "open-clip")])
    board = leaderboard(store)
    eurosat = board.filter(pl.col("evaluation") == "eurosat/vtab-test", pl.col("metric") == "top1")
    assert eurosat["place"].to_list() == [1, 2, 3]
    assert eurosat["mean"].to_list() == [0.6850, 0.6144, 0.50722]
    own = board.filter(pl.col("origin").is_null())["protocol_hash"].unique()
    assert not set(own) & set(board.filter(pl.col("origin").is_not_null())["protocol_hash"])


def test_imported_figures_stand_below_ones_own_of_the_test_set(
    store: Store, tmp_path: Path
) -> None:
    record(store, replace(ranked([1, 6]), test_set="eurosat/vtab-test"), experiment="mine")
    figures = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    store.add_imported(as_runs(figures, "clip-benchmark"))
    first, *others = boards(store, leaderboard(store))
    assert [(entry.place, entry.label) for entry in first.entries] == [
        (1, "mine"),
        (None, "clip-benchmark · ViT-B-32 openai (imported)"),
    ]
    assert any("imported" in note for note in first.notes)
    assert not first.has_undefined
    assert "eurosat/vtab-test · zero_shot · test" not in [board.title for board in others]
    assert len(others) == 5


def test_another_test_set_of_the_same_pictures_stays_apart(store: Store, tmp_path: Path) -> None:
    record(store, replace(ranked([1, 6]), test_set="eurosat/all"), experiment="mine")
    figures = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    store.add_imported(as_runs(figures, "clip-benchmark"))
    first = next(board for board in boards(store, leaderboard(store)) if board.samples)
    assert [entry.label for entry in first.entries] == ["mine"]


def test_a_board_is_ranked_by_the_metric_that_is_quoted_for_its_test_set(
    store: Store, tmp_path: Path
) -> None:
    store.add_imported(
        as_runs(read(tmp_path, clip_benchmark.read_results, BENCHMARK), "clip-benchmark")
    )
    mains = {board.title: board.main for board in boards(store, leaderboard(store))}
    assert mains["pets/test · zero_shot · test"] == "mean_per_class_recall"
    assert mains["eurosat/vtab-test · zero_shot · test"] == "top1"


def test_a_group_without_the_first_metric_is_shown_without_a_place(
    store: Store, tmp_path: Path
) -> None:
    recalls = read(tmp_path, clip_benchmark.read_results, BENCHMARK)
    means = read(tmp_path, open_clip.read_results, OPEN_CLIP)
    store.add_imported([*as_runs(recalls, "clip-benchmark"), *as_runs(means, "open-clip")])
    titled = {board.title: board for board in boards(store, leaderboard(store))}
    board = titled["flickr30k/karpathy-test · retrieval · image_to_text · test"]
    assert [entry.place for entry in board.entries] == [1, None]


@pytest.mark.parametrize("format", ["html", "md", "csv"])
def test_every_report_takes_imported_figures(sqlite_url: str, tmp_path: Path, format: str) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "benchmark.csv", BENCHMARK))
    out = tmp_path / f"report.{format}"
    assert call(sqlite_url, "report", "--out", out).exit_code == 0
    assert "ViT-B-32 openai" in out.read_text()
    assert "(imported)" in call(sqlite_url, "report").stdout
    assert "done (imported)" in call(sqlite_url, "ls").stdout
    assert "from clip-benchmark" in call(sqlite_url, "show", "clip-benchmark").stdout
