"""What missing modalities do, from hand-made conditions to frames and boards."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl
import pytest
from support.report_values import asked, record_fusion

from mmlab.records import EvaluationResult
from mmlab.report.boards.board import boards
from mmlab.report.boards.robustness import robustness, robustness_boards
from mmlab.report.contents import all_boards, read_contents
from mmlab.report.page import gather
from mmlab.report.render.files import to_json, to_markdown
from mmlab.store import Store

INPUTS = ("image", "text")


def condition(
    name: str, hits: int, present: tuple[str, ...], noise: Mapping[str, float] | None = None
) -> EvaluationResult:
    """`hits` of ten samples."""
    options = {"present": list(present), "noise": dict(noise or {})}
    outcomes = [1.0] * hits + [0.0] * (10 - hits)
    return asked(outcomes, evaluator="missing_modality", condition=name, options=options)


def summary(inputs: tuple[str, ...], **metrics: float) -> EvaluationResult:
    values = {f"top1/{key}": value for key, value in metrics.items()}
    return asked([], evaluator="missing_modality", metrics=values, options={"inputs": list(inputs)})


def record_both(store: Store, use: str, hits: tuple[int, int, int], seed: int = 0) -> None:
    """A fusion of both inputs: hits with the picture, with the text, with both."""
    image, text, both = hits
    record_fusion(
        store,
        use,
        INPUTS,
        summary(INPUTS, subset_area=((image + text) / 2 + both) / 20, subset_worst=image / 10),
        condition("image", image, ("image",)),
        condition("text", text, ("text",)),
        condition("image+text", both, INPUTS),
        condition("text noise 0.5", text, INPUTS, {"text": 0.5}),
        seed=seed,
    )


def record_text(store: Store, hits: int) -> None:
    """A single modality, asked what the fusion was asked of its text."""
    record_fusion(
        store,
        "concat",
        ["text"],
        summary(("text",), subset_area=hits / 10, subset_worst=hits / 10),
        condition("text", hits, ("text",)),
    )


def test_conditions_are_told_apart(store: Store) -> None:
    record_both(store, "sum", (1, 6, 8))
    found = robustness(store).filter(pl.col("metric").is_in(["top1", "top1/subset_worst"]))
    rows = found.select("condition", "present", "noisy", "level", "mean").sort("condition").rows()
    assert rows == [
        ("", None, None, None, 0.1),
        ("image", "image", None, None, 0.1),
        ("image+text", "image+text", None, None, 0.8),
        ("text", "text", None, None, 0.6),
        ("text noise 0.5", "image+text", "text", 0.5, 0.6),
    ]


def test_a_board_has_a_column_for_each_condition_the_summary_first(sqlite_store: Store) -> None:
    for seed in (0, 1):
        record_both(sqlite_store, "sum", (1, 6, 8), seed)
        record_both(sqlite_store, "gating", (4, 6, 7), seed)
    (board,) = robustness_boards(robustness(sqlite_store))
    assert board.metrics == (
        "subset_area",
        "subset_worst",
        "image+text",
        "image",
        "text",
        "text noise 0.5",
    )
    labels = [entry.label for entry in board.entries]
    assert labels == ["gating(image+text)", "sum(image+text)"]
    assert [figure.text for figure in board.entries[0].figures][2] == "70% [34, 92]"
    # Ten samples tell nothing of these apart.
    assert not any(figure.is_best for entry in board.entries for figure in entry.figures)
    assert board.samples == 10


def test_a_single_modality_stands_below_where_it_was_asked_the_same(store: Store) -> None:
    record_both(store, "sum", (1, 6, 8))
    record_text(store, 7)
    (board,) = robustness_boards(robustness(store))
    text = board.entries[1]
    assert (text.place, text.label) == (None, "concat(text)")
    shown = {m: f.text for m, f in zip(board.metrics, text.figures, strict=True) if f.text}
    assert list(shown) == ["text"]
    assert shown["text"].startswith("70% [")


def test_a_single_modality_alone_has_its_own_board(sqlite_store: Store) -> None:
    record_text(sqlite_store, 7)
    (board,) = robustness_boards(robustness(sqlite_store))
    assert [entry.place for entry in board.entries] == [1]


def test_conditions_are_no_boards_of_the_leaderboard_but_rows_of_its_frame(
    sqlite_store: Store,
) -> None:
    record_both(sqlite_store, "sum", (1, 6, 8))
    contents = read_contents(sqlite_store)
    assert set(contents.leaderboard["evaluator"]) == {"missing_modality"}
    assert list(boards(sqlite_store, contents.leaderboard)) == []
    page = gather(sqlite_store)
    assert [board.full_title for board in page.boards] == [
        "robustness in top1 · missing_modality · test"
    ]
    assert page.examples == ()


def test_every_format_has_the_conditions(sqlite_store: Store) -> None:
    record_both(sqlite_store, "sum", (1, 6, 8))
    contents = read_contents(sqlite_store)
    rows = json.loads(to_json(contents))["robustness"]
    assert {row["condition"] for row in rows} == {
        "",
        "image",
        "text",
        "image+text",
        "text noise 0.5",
    }
    assert "| subset\\_area |" in to_markdown(all_boards(sqlite_store, contents))


@pytest.mark.parametrize("name", ["robustness", "fusion_gain", "leaderboard"])
def test_an_empty_store_has_empty_tables(sqlite_store: Store, name: str) -> None:
    assert read_contents(sqlite_store).table(name).is_empty()  # type: ignore[arg-type]


def test_a_board_of_one_seed_says_that_its_conditions_alone_have_intervals(store: Store) -> None:
    record_both(store, "sum", (2, 6, 8))
    (board,) = robustness_boards(robustness(store))
    assert board.intervals == (
        "subset_area: no interval (none of it is known to hold)",
        "conditions: 95% over new samples; another seed is not in it (too few samples; "
        "four times as many samples would about halve this)",
    )
