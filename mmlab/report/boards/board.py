"""Leaderboards as a page shows them: one table per comparison, a column per metric, a dot plot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.metric import LEADERBOARD
from mmlab.report.boards.words import (
    Protocol,
    axis_number,
    comparison_label,
    counted,
    figure_text,
    group_labels,
    interval_notes,
    interval_words,
    listed,
    progress_words,
    tell_differences,
    words_of,
)
from mmlab.report.charts import Dot, Scale, Tick, axis_range, dot, dot_scale, ticks
from mmlab.report.leaderboard import comparisons, ordered_metrics
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import run_evaluations

# Rows of frames: values of whatever column.
Row = dict[str, Any]

#: Reasons that are told of a board why it is not comparable with others of its name, and with how
#: many it is compared for them: the first ones, which have the most rows.
_TOLD, _COMPARED = 3, 12
#: What marks a group of which seeds have failed.
MARK = "†"


@dataclass(frozen=True)
class Figure:
    """A metric's text, the number that sorts it, and whether it is the best of its column."""

    text: str
    value: float | None
    is_best: bool
    title: str


@dataclass(frozen=True)
class Entry:
    """One group of seeds in one comparison; `progress` says how many seeds, and what of others."""

    place: int | None
    label: str
    figures: tuple[Figure, ...]
    dot: Dot
    seeds: int
    interval: str
    progress: str
    has_failed: bool = False
    ranks: tuple[int, int] | None = None

    @property
    def placing(self) -> str:
        """The ends of its rank, or its place, with a mark where seeds of the group have failed."""
        low, high = self.ranks or (self.place, self.place)
        place = f"{low or ''}" if low == high else f"{low}-{high}"
        return f"{place}{MARK if self.has_failed else ''}"


@dataclass(frozen=True)
class Board:
    """One comparison: its rows may be compared with each other, and with no other board's.

    `apart` says of other boards of this name why they are others.
    """

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
    apart: tuple[str, ...] = ()
    has_imported: bool = False
    remarks: tuple[str, ...] = ()
    is_ranked: bool = True
    standing: str | None = None

    @property
    def notes(self) -> list[str]:
        """What must be known to read it, in whole phrases."""
        notes = [self._ranking(), *self.intervals]
        if self.samples:
            notes.insert(0, counted(self.samples, "sample"))
        if self.skipped:
            notes.insert(1, f"up to {counted(self.skipped, 'sample')} could not take part")
        if self.has_undefined:
            notes.append("no place where a seed's value is not finite or not defined")
        if any(entry.has_failed for entry in self.entries):
            notes.append(f"{MARK} {_FAILED}")
        if self.has_imported:
            notes.append("imported figures have no place: their protocol is known in part only")
        return [*notes, *self.apart, *self.remarks]

    def _ranking(self) -> str:
        if self.is_ranked and self.standing:
            return f"ranked by {self.main}, {self.standing}; ranks are 95% intervals"
        if self.is_ranked:
            return f"ranked by {self.main}"
        return f"not ranked: nobody declares which way {self.main} is better"


_FAILED = "seeds have failed: below the groups without, for a mean of the others may flatter it"


def boards(store: Store, board: pl.DataFrame) -> Iterable[Board]:
    """The leaderboard's comparisons, in its order.

    Imported predictions of samples are results as one's own. Imported figures of a test set stand
    below one's own results on it, without a place; where there are none of one's own, they are a
    board of their own. Conditions of missing modalities are left to `robustness_boards`.
    """
    board = board.filter(pl.col("board") == LEADERBOARD)
    is_published = pl.col("origin").is_not_null() & (pl.col("samples") == 0)
    own = comparisons(board.filter(~is_published))
    imported = comparisons(board.filter(is_published))
    by_subject: dict[tuple[str, ...] | None, list[pl.DataFrame]] = {}
    for part in imported:
        by_subject.setdefault(_subject(part), []).append(part)
    shown: set[str] = set()
    apart = _all_apart(store, own, board)
    for part, told in zip(own, apart, strict=True):
        beside = by_subject.get(_subject(part), [])
        shown |= {one["protocol_hash"][0] for one in beside}
        made = replace(_board(part, beside), apart=told)
        yield _of_suite(board, part, made) if _is_suite(part) else made
    others = [part for part in imported if part["protocol_hash"][0] not in shown]
    for part, told in zip(others, _all_apart(store, others, board), strict=True):
        yield replace(_board(part, []), apart=told)


def _is_suite(part: pl.DataFrame) -> bool:
    """Whether the rows of a comparison are means over datasets."""
    row = part.row(0, named=True)
    return row["suite"] is not None and row["dataset"] is None


def _of_suite(board: pl.DataFrame, part: pl.DataFrame, made: Board) -> Board:
    """The board of means, with a column for each dataset behind that of the main metric."""
    from mmlab.report.boards.suites import dataset_columns, told_of  # only where there is one

    columns = dataset_columns(board, part)
    names = [column["metric"][0] for column in columns]
    rows = _by_group(pl.concat([part, *columns]))
    metrics = [made.main, *names, *made.metrics[1:]]
    keys = dict.fromkeys(map(_key, part.iter_rows(named=True)))
    figures = [tuple(_figure(rows[key].get(metric)) for metric in metrics) for key in keys]
    entries = [
        replace(entry, figures=own) for entry, own in zip(made.entries, figures, strict=True)
    ]
    told = (*made.remarks, *told_of(part))
    return replace(made, metrics=tuple(metrics), entries=tuple(entries), remarks=told)


def _all_apart(
    store: Store, parts: Sequence[pl.DataFrame], board: pl.DataFrame
) -> list[tuple[str, ...]]:
    """Of every comparison, why it is not comparable with the others of its name."""
    named: dict[tuple[str, str, str], list[_Part]] = {}
    made = [_Part(_name(part), part["protocol_hash"][0], part) for part in parts]
    for one in made:
        named.setdefault(one.name, []).append(one)
    several = [one.protocol_hash for ones in named.values() if len(ones) > 1 for one in ones]
    protocols = _protocols(store, several)
    for one in made:
        if one.protocol_hash in several and _is_suite(one.rows):
            from mmlab.report.boards.suites import protocol_of  # only where there is one

            protocols[one.protocol_hash] = protocol_of(board, one.rows)
    return [_apart(one, named[one.name], protocols) for one in made]


@dataclass(frozen=True, eq=False)
class _Part:
    """A comparison with its name, and what its first row and all its rows are called."""

    name: tuple[str, str, str]
    protocol_hash: str
    rows: pl.DataFrame

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(group_labels(self.rows.iter_rows(named=True)).values())

    @cached_property
    def first_label(self) -> str:
        return _first_label(self.rows)


def _protocols(store: Store, hashes: Sequence[str]) -> dict[str, Protocol]:
    row = run_evaluations.c
    query = select(row.protocol_hash, row.protocol).where(among(row.protocol_hash, hashes))
    rows = store.frame(query.distinct()).iter_rows(named=True) if hashes else ()
    return {one["protocol_hash"]: json.loads(one["protocol"]) for one in rows}


def _subject(part: pl.DataFrame) -> tuple[str, ...] | None:
    """What was asked of which samples; None where nobody else can have asked it."""
    row = part.row(0, named=True)
    if row["test_set"] is None or row["split"] != "test":
        return None
    return row["evaluator"], row["condition"], row["test_set"]


def _is_published(row: Row) -> bool:
    """Whether it is a figure of another tool, without the samples that it is of."""
    return row["origin"] is not None and not row["samples"]


def _name(part: pl.DataFrame) -> tuple[str, str, str]:
    """Evaluation, condition and split; imported figures have the name of their test set alone."""
    row = part.row(0, named=True)
    asked = f" · {row['evaluator']}" if _is_published(row) else ""
    return f"{row['evaluation']}{asked}", row["condition"], row["split"]


def _apart(
    part: _Part, named: Sequence[_Part], protocols: Mapping[str, Protocol]
) -> tuple[str, ...]:
    """With which other boards of its name a board is not comparable, and why, in whole phrases.

    It is compared with so many of them: comparing each with each takes long where there are many.
    """
    rivals = [one for one in named[: _COMPARED + 1] if one is not part][:_COMPARED]
    here = protocols.get(part.protocol_hash)
    tables: dict[str, list[str]] = {}
    for name, rival in zip(_rival_names(part, rivals), rivals, strict=True):
        assert here is not None, "protocols of rivals are read"
        differs = tell_differences(here, protocols[rival.protocol_hash])
        tables.setdefault(differs, []).append(name)
    groups = sorted(tables.items(), key=lambda group: -len(group[1]))
    told = [_not_comparable(names, differs) for differs, names in groups[:_TOLD]]
    rest = len(named) - 1 - sum(len(names) for _, names in groups[:_TOLD])
    more = [f"nor with {counted(rest, 'further table')} of this name"] if rest else []
    return (*told, *more)


def _not_comparable(names: Sequence[str], differs: str) -> str:
    tables, differ = ("table", "differs") if len(names) == 1 else ("tables", "differ")
    return f"not comparable with the {tables} of {listed(names)}, which {differ} in {differs}"


def _rival_names(part: _Part, rivals: Sequence[_Part]) -> list[str]:
    """What a board calls others: by their first row, and by protocol where that is not enough."""
    firsts = [rival.first_label for rival in rivals]
    counts = Counter([*part.labels, *firsts])
    return [
        label if counts[label] == 1 else f"{label} (protocol {rival.protocol_hash[:8]})"
        for label, rival in zip(firsts, rivals, strict=True)
    ]


def _first_label(part: pl.DataFrame) -> str:
    """What the first row of a board is called."""
    labels = group_labels(part.iter_rows(named=True))
    return labels[_key(part.row(0, named=True))]


def _board(part: pl.DataFrame, beside: Sequence[pl.DataFrame]) -> Board:
    metrics = ordered_metrics(part)
    main = metrics[0]
    first = part.row(0, named=True)
    unplaced = [one.with_columns(pl.lit(None, pl.Int64).alias("place")) for one in beside]
    rows = pl.concat([part, *unplaced])
    leading = rows.filter(pl.col("metric") == main)
    unit = first["unit"]  # of the main metric, which comes first
    scale = dot_scale(axis_range(unit, leading))
    return Board(
        title=comparison_label(*_name(part)),
        metrics=tuple(metrics),
        main=main,
        entries=tuple(_entries(rows, leading, metrics, scale)),
        axis=tuple(Tick(scale(v), axis_number(unit, v)) for v in ticks(scale.low, scale.high, 4)),
        samples=first["samples"],
        skipped=part.select(pl.col("skipped").max()).item(),
        dataset_revision=first["dataset_revision"],
        protocol_hash=first["protocol_hash"],
        intervals=("published figures",) if _is_published(first) else _intervals(part, metrics),
        has_undefined=leading["mean"].null_count() > 0,
        has_imported=bool(beside),
        is_ranked=first["better"] is not None,
        standing=_standing(leading),
    )


def _standing(leading: pl.DataFrame) -> str | None:
    """How many rows may be the best by the main metric, in words."""
    known = leading["is_tied"].drop_nulls()
    if len(known) < 2:
        return None
    count = int(known.sum())
    first = f"tied for first: {count}" if count > 1 else "first: 1"
    return f"{first} of {len(known)}"


def _intervals(part: pl.DataFrame, metrics: Sequence[str]) -> tuple[str, ...]:
    """What the intervals vary over, in words."""
    found = {metric: part.filter(pl.col("metric") == metric) for metric in metrics}
    return interval_notes({metric: words_of(rows) for metric, rows in found.items()})


def _entries(
    rows: pl.DataFrame, leading: pl.DataFrame, metrics: Sequence[str], scale: Scale
) -> Iterable[Entry]:
    """The groups by their main metric, then those that were not measured by it."""
    by_group = _by_group(rows)
    labels = group_labels(rows.iter_rows(named=True))
    ordered = dict.fromkeys([*map(_key, leading.iter_rows(named=True)), *by_group])
    return [_entry(labels[key], by_group[key], metrics, scale) for key in ordered]


Key = tuple[str, str]


def _key(row: Row) -> Key:
    return row["experiment"], row["group_hash"]


def _by_group(part: pl.DataFrame) -> dict[Key, dict[str, Row]]:
    groups: dict[Key, dict[str, Row]] = {}
    for row in part.iter_rows(named=True):
        groups.setdefault(_key(row), {})[row["metric"]] = row
    return groups


def _entry(label: str, rows: dict[str, Row], metrics: Sequence[str], scale: Scale) -> Entry:
    main = rows.get(metrics[0]) or {**next(iter(rows.values())), **_NOT_MEASURED}
    return Entry(
        place=main["place"],
        label=label,
        figures=tuple(_figure(rows.get(metric)) for metric in metrics),
        dot=dot(scale, main["mean"], main["low"], main["high"]),
        seeds=main["seeds"],
        interval=main["interval"],
        progress=progress_words(main),
        has_failed=bool(main["failed"]),
        ranks=None if main["rank_low"] is None else (main["rank_low"], main["rank_high"]),
    )


_NOT_MEASURED: Row = {
    **dict.fromkeys(("place", "mean", "low", "high", "rank_low", "rank_high")),
    "interval": "none",
    "is_best": False,
}


def _figure(row: Row | None) -> Figure:
    if row is None:
        return Figure("", None, False, "not measured")
    # Bold where it means something: what may be the best, unless nothing is told apart.
    is_best = bool(row["is_best"]) and not row["failed"]
    return Figure(figure_text(row), row["mean"], is_best, interval_words(row))
