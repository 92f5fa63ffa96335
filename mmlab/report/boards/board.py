"""Leaderboards as a page shows them: one table per comparison, a column per metric, a dot plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from mmlab.metric import LEADERBOARD
from mmlab.report.boards.words import (
    axis_number,
    board_name,
    board_titles,
    counted,
    figure_text,
    interval_notes,
    interval_words,
    is_published,
    is_suite,
    progress_words,
    short_names,
    time_text,
    words_of,
)
from mmlab.report.leaderboard import comparisons, ordered_metrics
from mmlab.report.pictures.charts import Dot, Scale, Tick, axis_range, dot, dot_scale, ticks
from mmlab.store import Store

# Rows of frames: values of whatever column.
Row = dict[str, Any]
# What names a group: experiment and group hash.
Key = tuple[str, str]

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

    `heading` says what its rows are, `shared` what all of them have in common. `lead` are the
    places of the columns that are shown first, `apart` says of other boards of this name why they
    are others.
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
    heading: str = "experiment"
    shared: tuple[str, ...] = ()
    lead: tuple[int, ...] = (0,)

    @property
    def full_title(self) -> str:
        """The title, and what all rows have in common."""
        return " · ".join([self.title, *self.shared])

    @property
    def rest(self) -> list[int]:
        """The places of the columns that are shown on demand."""
        return [place for place in range(len(self.metrics)) if place not in self.lead]

    @property
    def is_told_apart(self) -> bool:
        """Whether some rows, and not all, may be the best: theirs are bold."""
        return any(entry.figures[0].is_best for entry in self.entries)

    @property
    def notes(self) -> list[str]:
        """What must be known to read it, in whole phrases."""
        notes = [self.ranking, *self.intervals]
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

    @property
    def ranking(self) -> str:
        """By what its rows are ordered, and who may be the first."""
        if self.is_ranked and self.standing:
            return f"ranked by {self.main}, {self.standing}"
        if self.is_ranked:
            return f"ranked by {self.main}"
        return f"not ranked: nobody declares which way {self.main} is better"


_FAILED = "seeds have failed: below the groups without, for a mean of the others may flatter it"


def boards(store: Store, board: pl.DataFrame) -> Iterable[Board]:
    """The leaderboard's comparisons, in its order.

    Conditions of missing modalities are left to `robustness_boards`.
    """
    board = board.filter(pl.col("board") == LEADERBOARD)
    parts = board_parts(board)
    titles, apart = board_titles([part for part, _ in parts]), _apart(store, parts, board)
    for (part, beside), title, told in zip(parts, titles, apart, strict=True):
        made = replace(_board(title, part, beside), apart=told)
        yield _of_suite(board, part, made) if is_suite(part) else made


#: A comparison, and figures of other tools that stand below it.
Part = tuple[pl.DataFrame, Sequence[pl.DataFrame]]


def board_parts(board: pl.DataFrame) -> list[Part]:
    """The comparisons of a leaderboard's frame that have a board, in its order.

    Imported predictions of samples are results as one's own. Imported figures of a test set stand
    below one's own results on it, without a place; where there are none of one's own, they are a
    board of their own.
    """
    board = board.filter(pl.col("board") == LEADERBOARD)
    is_figure = pl.col("origin").is_not_null() & (pl.col("samples") == 0)
    own, imported = comparisons(board.filter(~is_figure)), comparisons(board.filter(is_figure))
    by_subject: dict[tuple[str, ...] | None, list[pl.DataFrame]] = {}
    for part in imported:
        by_subject.setdefault(_subject(part), []).append(part)
    parts: list[Part] = [(part, by_subject.get(_subject(part), [])) for part in own]
    shown = {one["protocol_hash"][0] for _, beside in parts for one in beside}
    return [*parts, *((one, ()) for one in imported if one["protocol_hash"][0] not in shown)]


def _apart(store: Store, parts: Sequence[Part], board: pl.DataFrame) -> list[tuple[str, ...]]:
    """Of every comparison why it is not comparable with others of its name, where there are any.

    One's own are told apart from one's own, and imported figures from imported ones.
    """
    both = [part for part, _ in parts]
    own = [part for part in both if not is_published(part.row(0, named=True))]
    others = both[len(own) :]
    return [told for alike in (own, others) for told in _of_names(store, alike, board)]


def _of_suite(board: pl.DataFrame, part: pl.DataFrame, made: Board) -> Board:
    """The board of means, with a column for each dataset behind that of the main metric."""
    from mmlab.report.boards.suites import dataset_columns, told_of  # only where there is one

    columns = dataset_columns(board, part)
    names, rows = [column["metric"][0] for column in columns], _by_group(pl.concat(columns))
    entries = []
    keys = dict.fromkeys(map(_key, part.iter_rows(named=True)))
    for key, entry in zip(keys, made.entries, strict=True):
        own = rows.get(key, {})
        main, *rest = entry.figures
        figures = (main, *(_figure(own.get(name)) for name in names), *rest)
        entries.append(replace(entry, figures=figures))
    count = len(names)
    return replace(
        made,
        metrics=(made.main, *names, *made.metrics[1:]),
        entries=tuple(entries),
        lead=(0, *range(1, count + 1), *(place + count for place in made.lead[1:])),
        remarks=(*made.remarks, *told_of(part)),
    )


def _of_names(
    store: Store, parts: Sequence[pl.DataFrame], board: pl.DataFrame
) -> list[tuple[str, ...]]:
    if len({board_name(part) for part in parts}) == len(parts):
        return [()] * len(parts)
    # Few stores hold results of one name that differ, and the rest need none of it.
    from mmlab.report.boards.protocols import told_apart

    return told_apart(store, parts, board)


def _subject(part: pl.DataFrame) -> tuple[str, ...] | None:
    """What was asked of which samples; None where nobody else can have asked it."""
    row = part.row(0, named=True)
    if row["test_set"] is None or row["split"] != "test":
        return None
    return row["evaluator"], row["condition"], row["test_set"]


def _board(title: str, part: pl.DataFrame, beside: Sequence[pl.DataFrame]) -> Board:
    metrics = ordered_metrics(part)
    main = metrics[0]
    first = part.row(0, named=True)
    unplaced = [one.with_columns(pl.lit(None, pl.Int64).alias("place")) for one in beside]
    rows = pl.concat([part, *unplaced])
    leading = rows.filter(pl.col("metric") == main)
    unit = first["unit"]  # of the main metric, which comes first
    scale = dot_scale(axis_range(unit, leading))
    names, costs = short_names(rows.iter_rows(named=True)), _costs(rows)
    return Board(
        title=title,
        metrics=(*metrics, *costs),
        main=main,
        entries=tuple(_entries(rows, leading, metrics, costs, names.labels, scale)),
        axis=tuple(Tick(scale(v), axis_number(unit, v)) for v in ticks(scale.low, scale.high, 4)),
        samples=first["samples"],
        skipped=part.select(pl.col("skipped").max()).item(),
        dataset_revision=first["dataset_revision"],
        protocol_hash=first["protocol_hash"],
        intervals=("published figures",) if is_published(first) else _intervals(part, metrics),
        has_undefined=leading["mean"].null_count() > 0,
        has_imported=bool(beside),
        is_ranked=first["better"] is not None,
        standing=_standing(leading),
        remarks=tuple(_COST_NOTES[name] for name in costs),
        heading=names.heading,
        shared=names.shared,
        lead=(0, *range(len(metrics), len(metrics) + len(costs))),
    )


# A value of a cost, as text.
Cost = tuple[str, Callable[[Any], str]]
_COSTS: Mapping[str, Cost] = {
    "parameters": ("parameters", lambda count: f"{count:,}"),
    "time": ("seconds", time_text),
}
_COST_NOTES = {
    "parameters": "parameters of the whole model",
    "time": "time of a run, the median",
}


def _costs(rows: pl.DataFrame) -> list[str]:
    """The costs that any row has, by their heading."""
    return [name for name, (key, _) in _COSTS.items() if rows[key].null_count() < len(rows)]


def _cost(row: Row, name: str) -> Figure:
    key, text = _COSTS[name]
    value = row[key]
    return Figure("" if value is None else text(value), value, False, "")


def _standing(leading: pl.DataFrame) -> str | None:
    """How many rows may be the best by the main metric, and what their ranks are, in words."""
    known = leading["is_tied"].drop_nulls()
    if len(known) < 2:
        return None
    count, begin = int(known.sum()), int((leading["rank_low"] == 1).sum())
    first = f"tied for first: {count}" if count > 1 else "first: 1"
    # Which rows may be the best is one question, and is told more sharply than all ranks at once.
    more = f", which begin at 1 for {begin}" if begin > count else ""
    return f"{first} of {len(known)}; ranks are 95% intervals for all rows at once{more}"


def _intervals(part: pl.DataFrame, metrics: Sequence[str]) -> tuple[str, ...]:
    """What the intervals vary over, in words."""
    found = {metric: part.filter(pl.col("metric") == metric) for metric in metrics}
    return interval_notes({metric: words_of(rows) for metric, rows in found.items()})


def _entries(
    rows: pl.DataFrame,
    leading: pl.DataFrame,
    metrics: Sequence[str],
    costs: Sequence[str],
    labels: Mapping[Key, str],
    scale: Scale,
) -> Iterable[Entry]:
    """The groups by their main metric, then those that were not measured by it."""
    by_group = _by_group(rows)
    ordered = dict.fromkeys([*map(_key, leading.iter_rows(named=True)), *by_group])
    return [_entry(labels[key], by_group[key], metrics, costs, scale) for key in ordered]


def _key(row: Row) -> Key:
    return row["experiment"], row["group_hash"]


def _by_group(part: pl.DataFrame) -> dict[Key, dict[str, Row]]:
    groups: dict[Key, dict[str, Row]] = {}
    for row in part.iter_rows(named=True):
        groups.setdefault(_key(row), {})[row["metric"]] = row
    return groups


def _entry(
    label: str,
    rows: dict[str, Row],
    metrics: Sequence[str],
    costs: Sequence[str],
    scale: Scale,
) -> Entry:
    main = rows.get(metrics[0]) or {**next(iter(rows.values())), **_NOT_MEASURED}
    return Entry(
        place=main["place"],
        label=label,
        figures=(
            *(_figure(rows.get(metric)) for metric in metrics),
            *(_cost(main, name) for name in costs),
        ),
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
