"""Leaderboards as a page shows them: one table per comparison, a column per metric, a dot plot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.report.charts import Dot, Scale, Tick, axis_range, dot, dot_scale, ticks
from mmlab.report.figures import (
    INTERVAL_WORDS,
    axis_number,
    comparison_label,
    group_labels,
    plus_minus,
)
from mmlab.report.leaderboard import comparisons, main_metric
from mmlab.report.statistics import metric_order
from mmlab.store import Store
from mmlab.tables import evaluations


@dataclass(frozen=True)
class Figure:
    """A metric's text, the number that sorts it, and whether it is the best of its column."""

    text: str
    value: float | None
    is_best: bool
    title: str


@dataclass(frozen=True)
class Entry:
    """One group of seeds in one comparison."""

    place: int | None
    label: str
    figures: tuple[Figure, ...]
    dot: Dot
    seeds: int
    interval: str


@dataclass(frozen=True)
class Board:
    """One comparison: its rows may be compared with each other, and with no other board's."""

    title: str
    metrics: tuple[str, ...]
    main: str
    entries: tuple[Entry, ...]
    axis: tuple[Tick, ...]
    samples: int
    skipped: int
    dataset_revision: str
    protocol_hash: str
    intervals: tuple[str, ...]
    has_undefined: bool
    differs: str

    @property
    def notes(self) -> list[str]:
        """What must be known to read it, in whole phrases."""
        notes = [f"{self.samples:,} samples", f"ranked by {self.main}", *self.intervals]
        if self.skipped:
            notes.insert(1, f"up to {self.skipped:,} samples could not take part")
        if self.has_undefined:
            notes.append("no place where a seed's value is not finite or not defined")
        if self.differs:
            notes.append(f"not comparable with the other table of this name: {self.differs} differ")
        return notes


def boards(store: Store, board: pl.DataFrame) -> Iterable[Board]:
    """The leaderboard's comparisons, in its order."""
    parts = comparisons(board)
    names = [_name(part) for part in parts]
    for part, name in zip(parts, names, strict=True):
        rivals = [p["protocol_hash"][0] for p, n in zip(parts, names, strict=True) if n == name]
        yield _board(part, _differences(store, rivals) if len(rivals) > 1 else "")


def _name(part: pl.DataFrame) -> tuple[str, str, str]:
    row = part.row(0, named=True)
    return row["evaluation"], row["condition"], row["split"]


def _differences(store: Store, protocols: list[str]) -> str:
    """In which parts the protocols of one evaluation's name differ."""
    query = select(evaluations.c.protocol_hash, evaluations.c.protocol)
    query = query.where(evaluations.c.protocol_hash.in_(protocols)).distinct()
    found = [json.loads(text) for text in store.frame(query)["protocol"].to_list()]
    keys = sorted({key for protocol in found for key in protocol})
    differing = [key for key in keys if any(p.get(key) != found[0].get(key) for p in found)]
    return ", ".join(differing)


def _board(part: pl.DataFrame, differs: str) -> Board:
    main = main_metric(part)
    metrics = sorted(map(str, part["metric"].unique()), key=metric_order)
    leading = part.filter(pl.col("metric") == main)
    scale = dot_scale(axis_range(main, leading))
    by_group = _by_group(part)
    labels = group_labels(leading.iter_rows(named=True))
    entries = [
        _entry(labels[_key(row)], by_group[_key(row)], metrics, scale)
        for row in leading.iter_rows(named=True)
    ]
    first = part.row(0, named=True)
    low, high = scale.low, scale.high
    return Board(
        title=comparison_label(*_name(part)),
        metrics=tuple(metrics),
        main=main,
        entries=tuple(entries),
        axis=tuple(Tick(scale(v), axis_number(main, v)) for v in ticks(low, high, 4)),
        samples=first["samples"],
        skipped=part.select(pl.col("skipped").max()).item(),
        dataset_revision=first["dataset_revision"],
        protocol_hash=first["protocol_hash"],
        intervals=tuple(INTERVAL_WORDS[kind] for kind in sorted(set(leading["interval"]))),
        has_undefined=any(entry.place is None for entry in entries),
        differs=differs,
    )


# Rows of frames: values of whatever column.
Row = dict[str, Any]
Key = tuple[str, str]


def _key(row: Row) -> Key:
    return row["experiment"], row["group_hash"]


def _by_group(part: pl.DataFrame) -> dict[Key, dict[str, Row]]:
    groups: dict[Key, dict[str, Row]] = {}
    for row in part.iter_rows(named=True):
        groups.setdefault(_key(row), {})[row["metric"]] = row
    return groups


def _entry(label: str, rows: dict[str, Row], metrics: list[str], scale: Scale) -> Entry:
    main = rows[metrics[0]]
    return Entry(
        place=main["place"],
        label=label,
        figures=tuple(_figure(metric, rows.get(metric)) for metric in metrics),
        dot=dot(scale, main["mean"], main["low"], main["high"]),
        seeds=main["seeds"],
        interval=main["interval"],
    )


def _figure(metric: str, row: Row | None) -> Figure:
    if row is None:
        return Figure("", None, False, "not measured")
    title = INTERVAL_WORDS[row["interval"]]
    return Figure(plus_minus(metric, row), row["mean"], row["place"] == 1, title)
