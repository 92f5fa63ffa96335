from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from support.report_values import ranked, record

from mmlab.errors import MmlabError, UsageError
from mmlab.report.boards.board import boards
from mmlab.report.contents import read_contents
from mmlab.report.leaderboard import leaderboard
from mmlab.report.render.files import to_csv, to_json, to_markdown, write_report
from mmlab.store import Store


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_cells_that_a_spreadsheet_would_run_get_a_quote(store: Store, start: str) -> None:
    record(store, ranked([1, 6]), experiment=f"{start}cmd()")
    (first, *_) = csv.DictReader(io.StringIO(to_csv(leaderboard(store)), newline=""))
    assert first["experiment"] == f"'{start}cmd()"
    assert first["mean"] == "0.5"


def test_json_writes_null_for_what_is_undefined(store: Store) -> None:
    record(store, replace(ranked([1]), metrics={"top1": float("nan"), "top5": None}))
    document = json.loads(to_json(read_contents(store)))
    assert document["schema_version"] == 1
    assert [row["mean"] for row in document["leaderboard"]] == [None, None]


def test_parquet_gives_the_leaderboard_back(store: Store, tmp_path: Path) -> None:
    record(store, ranked([1, 2]))
    write_report(store, None, tmp_path / "report.parquet")
    assert pl.read_parquet(tmp_path / "report.parquet").equals(leaderboard(store))


def test_markdown_is_a_table_with_intervals_and_ranks_that_are_bold_where_they_differ(
    store: Store,
) -> None:
    for seed in range(3):
        for cell, rank in {"good": 1, "fine": 1, "bad": 2}.items():
            record(store, ranked([rank] * 50 + [3] * 10), cell=cell, seed=seed)
    text = to_markdown(boards(store, leaderboard(store)))
    assert "| # | cell | top1 | top5 |" in text
    for name in ("good", "fine"):
        assert f"| 1-2 | {name} | **83.3% [71.6, 90.8]** |" in text
    assert "| 3 | bad | 0 to 6.4% |" in text
    assert "ranked by top1, tied for first: 2 of 3" in text


def test_markdown_shows_markup_in_names_as_text(store: Store) -> None:
    record(store, ranked([1]), experiment="a|b <i>*c*</i>")
    text = to_markdown(boards(store, leaderboard(store)))
    assert r"a\|b &lt;i&gt;\*c\*&lt;/i&gt;" in text


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.csv", "report.json"])
def test_the_ending_names_the_format_and_an_empty_store_is_fine(
    store: Store, tmp_path: Path, name: str
) -> None:
    write_report(store, None, tmp_path / name)
    assert (tmp_path / name).read_text()
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == [name]


def test_an_unknown_format_is_explained(store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="found: xlsx\n  allowed: html, md, tex, csv, json, parquet"
    ):
        write_report(store, None, tmp_path / "report.xlsx")


def test_a_missing_folder_is_explained(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MmlabError, match="the report cannot be written"):
        write_report(store, None, tmp_path / "nowhere" / "report.csv")
