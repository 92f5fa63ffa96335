"""Fusion gains as a page shows them: a row per fusion, what it gains, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from mmlab.metric import SHARE
from mmlab.report.boards.board import Board, Entry, Figure
from mmlab.report.boards.words import (
    comparison_label,
    interval_words,
    listed,
    number,
    progress_words,
    short_names,
    words_of,
)
from mmlab.report.pictures.charts import Tick, axis_range, dot, dot_scale, ticks
from mmlab.statistics.digits import interval_text

# Rows of frames: values of whatever column.
Row = Mapping[str, Any]

_QUESTION = ["experiment", "evaluation", "condition", "split", "dataset_revision"]


def gain_boards(gains: pl.DataFrame) -> Iterable[Board]:
    """One board for each question of a frame of `fusion_gain`, in its order."""
    return map(_board, gain_parts(gains))


def gain_parts(gains: pl.DataFrame) -> list[pl.DataFrame]:
    """The frame of `fusion_gain` cut into questions."""
    return gains.partition_by(_QUESTION, maintain_order=True)


def _board(part: pl.DataFrame) -> Board:
    first = part.row(0, named=True)
    columns = _columns(part)
    drawn = part.rename({"gain": "mean", "mean": "own_mean"})
    scale = dot_scale(axis_range("", drawn))
    names = short_names(part.iter_rows(named=True), is_named=False)
    entries = [
        Entry(
            place=place,
            label=names.labels[row["experiment"], row["group_hash"]],
            figures=tuple(make(row) for make in columns.values()),
            dot=dot(scale, row["gain"], row["low"], row["high"]),
            seeds=row["seeds"],
            interval=row["interval"],
            progress=progress_words(row),
            has_failed=row["failed"] > 0,
        )
        for place, row in enumerate(part.iter_rows(named=True), start=1)
    ]
    return Board(
        title=gain_title(first),
        metrics=tuple(columns),
        main="gain",
        entries=tuple(entries),
        axis=tuple(Tick(scale(v), _signed(first, v)) for v in ticks(scale.low, scale.high, 4)),
        samples=part.select(pl.col("samples").max()).item(),
        skipped=0,
        dataset_revision=first["dataset_revision"],
        protocol_hash="",
        intervals=tuple(words_of(part)),
        has_undefined=False,
        remarks=tuple(_remarks(part)),
        heading=names.heading,
        shared=names.shared,
        lead=tuple(place for place, name in enumerate(columns) if name in _lead(part)),
    )


def gain_title(row: Row) -> str:
    """What names the board of a question of `fusion_gain`."""
    title = comparison_label(row["evaluation"], row["condition"], row["split"])
    return f"fusion gain · {row['experiment']} · {title}"


def _lead(part: pl.DataFrame) -> Sequence[str]:
    """The columns that are shown first."""
    return ("gain", part["measure"][0], "best unimodal", "parameters")


def _columns(part: pl.DataFrame) -> dict[str, Callable[[Row], Figure]]:
    """What is shown of each row, by its heading; costs only where any was recorded."""
    measure, unit = part["measure"][0], part["unit"][0]
    columns: dict[str, Callable[[Row], Figure]] = {
        "gain": lambda row: _gain(row, _is_above(row) and not row["failed"]),
        "one by one": _alone,
        measure: lambda row: _plain(number(unit, row["mean"]), row["mean"]),
        "best unimodal": _best_unimodal,
    }
    costs: dict[str, tuple[str, Callable[[Row], Figure]]] = {
        "parameters": ("parameters", lambda row: _count(row["parameters"])),
        "gap": ("gap", lambda row: _share(row["gap"])),
        "flops": ("FLOPs", lambda row: _count(row["flops"])),
        "samples_per_second": ("samples/s", lambda row: _count(row["samples_per_second"])),
    }
    known = {
        head: make for key, (head, make) in costs.items() if part[key].null_count() < len(part)
    }
    return columns | known


def _is_above(row: Row) -> bool:
    """Whether the fusion is shown to gain, all of the table being looked at."""
    return row["low"] is not None and row["low"] > 0


def _gain(row: Row, is_best: bool) -> Figure:
    is_share = row["unit"] == SHARE
    ends = row["low"], row["high"]
    text = interval_text(row["gain"], *ends, is_share=is_share, is_signed=True)
    return Figure(text, row["gain"], is_best, interval_words(row))


def _alone(row: Row) -> Figure:
    """The interval of this row, as if no other had been looked at."""
    ends = row["single_low"], row["single_high"]
    if None in ends:
        return _plain("", None)
    is_share = row["unit"] == SHARE
    text = interval_text(row["gain"], *ends, is_share=is_share, is_signed=True)
    return _plain(text.partition(" ")[2], row["gain"])


def _signed(row: Row, value: float) -> str:
    """A difference with its sign: in points of per cent where the measure is a fraction."""
    if row["unit"] == SHARE:
        return f"{100 * value:+.1f}"
    return f"{value:+.4g}"


def _best_unimodal(row: Row) -> Figure:
    text = f"{row['best_unimodal']} {number(row['unit'], row['best_mean'])}"
    return _plain(text, row["best_mean"], row["best_cell"])


def _count(value: float | None) -> Figure:
    return _plain("" if value is None else f"{value:,.0f}", value)


def _share(value: float | None) -> Figure:
    return _plain("" if value is None else f"{100 * value:+.1f}%", value)


def _plain(text: str, value: float | None, title: str = "") -> Figure:
    return Figure(text, value, False, title)


def _remarks(part: pl.DataFrame) -> Iterable[str]:
    measure = part["measure"][0]
    points = "in points of per cent, " if part["unit"][0] == SHARE else ""
    yield "intervals of gains hold together, those one by one for a single row"
    yield f"gain: {measure} minus that of the fusion's best input alone, {points}paired by sample"
    for split in part["chosen_on"].unique(maintain_order=True):
        also = "" if split == "validation" else ", so that gains look smaller than they are"
        yield f"the best unimodal was chosen on {split}{also}"
    yield from _untried(part)
    if part["parameters"].null_count() < len(part):
        yield "parameters and FLOPs (of one sample, forward) of fusion and head, encoders aside"
    for budget in part["budget"].drop_nulls().unique(maintain_order=True):
        yield f"gap: how far the parameters are from the budget of {budget:,}"
    yield from _classes(part)


def _untried(part: pl.DataFrame) -> Iterable[str]:
    """Inputs that nothing read alone, so that a better baseline may be missing."""
    rows = part["unimodal_missing"].drop_nulls().to_list()
    keys = list(dict.fromkeys(key for row in rows for key in row.split("+")))
    if keys:
        verb = "was" if len(keys) == 1 else "were"
        yield f"{listed([f'{key} alone' for key in keys])} {verb} not run, and may be better still"


def _classes(part: pl.DataFrame) -> Iterable[str]:
    """Fusions that can express the same, and should not be counted as several methods."""
    named = part.drop_nulls("function_class")
    for members in named.partition_by("function_class", maintain_order=True):
        names = members["fusion"].unique(maintain_order=True).to_list()
        if len(names) > 1:
            shared = members["function_class"][0]
            what = "of equal width they differ in their start alone"
            yield f"{listed(names)} are one function class ({shared}): {what}"
