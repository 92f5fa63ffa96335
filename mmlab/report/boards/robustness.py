"""Robustness: what is left of a fusion with missing or noisy inputs: frames and boards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.metric import ROBUSTNESS
from mmlab.report.boards.board import Board, Entry, Figure
from mmlab.report.boards.words import (
    axis_number,
    comparison_label,
    figure_text,
    interval_notes,
    interval_words,
    progress_words,
    short_names,
    words_of,
)
from mmlab.report.frames import Runs
from mmlab.report.leaderboard import leaderboard
from mmlab.report.pictures.charts import Tick, axis_range, dot, dot_scale, ticks
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import run_evaluations


def robustness(store: Store, runs: Runs = None) -> pl.DataFrame:
    """The leaderboard's rows of the board of missing modalities, with what each condition is.

    - `condition`: "image+text" for a subset of the inputs, "text noise 0.5" for noise in one of
      them, empty for the summary, whose metrics are areas and worst cases ("top1/subset_area").
    - `present`: the inputs that were there, joined by "+"; null for the summary.
    - `noisy`, `level`: the input that was made noisy, and by how many deviations of its features;
      null without noise.

    Ordered as the leaderboard. The evaluator says how all are defined; its protocol tells the
    conditions, as the options `present` and `noise`.
    """
    return conditions_of(store, leaderboard(store, runs))


def conditions_of(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """The same, from a leaderboard that has been read already."""
    rows = board.filter(pl.col("board") == ROBUSTNESS)
    hashes = rows["protocol_hash"].unique().to_list()
    asked = pl.DataFrame(
        [_condition(hash, json.loads(text)) for hash, text in _protocols(store, hashes)],
        schema=_CONDITION,
        orient="row",
    )
    return rows.join(asked, on="protocol_hash", how="left", maintain_order="left")


_CONDITION: dict[str, pl.DataType | type[pl.DataType]] = {
    "protocol_hash": pl.String,
    "present": pl.String,
    "noisy": pl.String,
    "level": pl.Float64,
}


def _protocols(store: Store, hashes: Sequence[str]) -> list[tuple[str, str]]:
    row = run_evaluations.c
    is_one = among(row.protocol_hash, hashes)
    query = select(row.protocol_hash, row.protocol).where(is_one).distinct()
    return store.frame(query).rows()


# A protocol is JSON.
def _condition(protocol_hash: str, protocol: Mapping[str, Any]) -> dict[str, object]:
    options = protocol["options"]
    present, noise = options.get("present"), options.get("noise") or {}
    noisy, level = next(iter(noise.items()), (None, None))
    return {
        "protocol_hash": protocol_hash,
        "present": "+".join(present) if present else None,
        "noisy": noisy,
        "level": level,
    }


# Rows of frames: values of whatever column.
Row = dict[str, Any]

_REMARKS = (
    "each column a condition: the inputs that are there, or noise of so many deviations in the "
    "features of one",
    "subset_area: mean over how many inputs are there",
    "noise_area: mean over the noise from none to the most",
    "worst: the lowest of any",
)


def robustness_boards(found: pl.DataFrame) -> Iterable[Board]:
    """One board for each summary that may be compared, from a frame of `robustness`.

    Groups that were asked fewer inputs, single modalities say, stand below where a condition asked
    them the same: without a place, for they have no summary of the same conditions.
    """
    return (_board(summary, rows) for summary, rows in robustness_parts(found))


def robustness_parts(found: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Each summary of a frame of `robustness` with all rows that may be compared with its own."""
    summaries = found.filter(pl.col("condition") == "")
    parts = summaries.partition_by(
        ["evaluation", "split", "protocol_hash"], maintain_order=True, include_key=True
    )
    alike = found.partition_by(["evaluation", "split"], as_dict=True)
    keys = [(part["evaluation"][0], part["split"][0]) for part in parts]
    rows = [_rows(alike[key], part) for key, part in zip(keys, parts, strict=True)]
    sizes = [one["condition"].n_unique() for one in rows]
    holders: dict[str, list[int]] = {}
    for place, one in enumerate(rows):
        for group in set(one["group_hash"]):
            holders.setdefault(group, []).append(place)
    for place, (part, values) in enumerate(zip(parts, rows, strict=True)):
        if not _is_covered(values, sizes[place], sizes, holders):
            yield part, values


def _rows(alike: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
    """All that belongs to one summary: its own values, and by condition those asked the same.

    `alike` are the rows of its evaluation and split.
    """
    first = summary.row(0, named=True)
    group = (pl.col("group_hash") == first["group_hash"]) & (
        pl.col("experiment") == first["experiment"]
    )
    conditions = alike.filter(group & (pl.col("condition") != ""))
    metric = first["metric"].partition("/")[0]
    asked = conditions["protocol_hash"].unique().to_list()
    is_asked = pl.col("protocol_hash").is_in(asked) & (pl.col("metric") == metric)
    return pl.concat([summary, alike.filter(is_asked)])


def _is_covered(
    rows: pl.DataFrame,
    size: int,
    sizes: Sequence[int],
    holders: Mapping[str, Sequence[int]],
) -> bool:
    """Whether another board has more conditions, and every group of this one in some of them.

    `holders` are the places of the boards that a group is in, by it.
    """
    everywhere = [set(holders[group]) for group in set(rows["group_hash"])]
    return any(sizes[place] > size for place in set.intersection(*everywhere))


def _board(summary: pl.DataFrame, rows: pl.DataFrame) -> Board:
    columns = _columns(rows)
    main = columns[0]
    leading = summary.filter(pl.col("metric") == main)
    unit = leading["unit"][0]
    scale = dot_scale(axis_range(unit, leading))
    names = short_names(rows.iter_rows(named=True))
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows.iter_rows(named=True):
        key = row["experiment"], row["group_hash"]
        groups.setdefault(key, {})[row["condition"] or row["metric"]] = row
    first = rows.row(0, named=True)
    metric = main.partition("/")[0]
    entries = [
        Entry(
            place=values[main]["place"] if main in values else None,
            label=names.labels[key],
            figures=tuple(_figure(values.get(column)) for column in columns),
            dot=dot(scale, *_ends(values.get(main))),
            seeds=next(iter(values.values()))["seeds"],
            interval=next(iter(values.values()))["interval"],
            progress=progress_words(next(iter(values.values()))),
            has_failed=bool(next(iter(values.values()))["failed"]),
        )
        for key, values in groups.items()
    ]
    return Board(
        title=robustness_title(first, main),
        metrics=tuple(column.removeprefix(f"{metric}/") for column in columns),
        main=main.removeprefix(f"{metric}/"),
        entries=tuple(sorted(entries, key=lambda entry: entry.place or len(entries) + 1)),
        axis=tuple(Tick(scale(v), axis_number(unit, v)) for v in ticks(scale.low, scale.high, 4)),
        samples=rows.select(pl.col("samples").max()).item(),
        skipped=rows.select(pl.col("skipped").max()).item(),
        dataset_revision=first["dataset_revision"],
        protocol_hash=first["protocol_hash"],
        intervals=interval_notes(
            {
                main.removeprefix(f"{metric}/"): words_of(leading),
                "conditions": words_of(rows.filter(pl.col("condition") != "")),
            }
        ),
        has_undefined=leading["mean"].null_count() > 0,
        remarks=_REMARKS,
        heading=names.heading,
        shared=names.shared,
    )


def robustness_title(row: Row, main: str) -> str:
    """What names the board of a summary whose main metric this is."""
    title = comparison_label(row["evaluation"], "", row["split"])
    return f"robustness in {main.partition('/')[0]} · {title}"


def _columns(rows: pl.DataFrame) -> list[str]:
    """The summary's metrics as they are declared; all inputs; smaller subsets; noise."""
    summary = rows.filter(pl.col("condition") == "")
    areas = summary["metric"].unique(maintain_order=True).to_list()
    conditions = rows.filter(pl.col("condition") != "").unique("condition").to_dicts()
    conditions.sort(
        key=lambda row: (
            row["noisy"] is not None,
            -row["present"].count("+"),
            row["noisy"] or row["present"],
            row["level"] or 0.0,
        )
    )
    return [*areas, *(row["condition"] for row in conditions)]


def _ends(row: Row | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if row is None else (row["mean"], row["low"], row["high"])


def _figure(row: Row | None) -> Figure:
    if row is None:
        return Figure("", None, False, "not asked")
    is_best = bool(row["is_best"]) and not row["failed"]
    return Figure(figure_text(row), row["mean"], is_best, interval_words(row))
