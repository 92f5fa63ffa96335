"""What an HTML report says, gathered from the store: plain values, ready for the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from mmlab.report.boards import Board
from mmlab.report.card_reading import SELECTION, choose_cards
from mmlab.report.cards import Card
from mmlab.report.charts import COLOURS, Chart, curve_charts
from mmlab.report.contents import all_boards, read_contents
from mmlab.report.figures import comparison_label, group_labels, number
from mmlab.report.frames import done_runs, drawn_curves, label_table
from mmlab.report.leaderboard import COMPARISON, comparisons, main_metric
from mmlab.report.provenance import Provenance, provenance
from mmlab.report.robustness import MISSING
from mmlab.report.selection import Runs
from mmlab.store import Store

#: What one page shows at most of each; more is counted, not drawn.
CARDS = 12
CARD_SETS = 8
CHARTS = 9
LABELS = 1000


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only, as the page's first table and its legends show them."""

    colour: int
    label: str
    seeds: tuple[int, ...]
    run_count: int


@dataclass(frozen=True)
class Experiment:
    """One experiment's groups and curves; the rest is counted."""

    name: str
    groups: tuple[Group, ...]
    charts: tuple[Chart, ...]
    hidden_charts: int
    hidden_groups: int


@dataclass(frozen=True)
class Labels:
    """Metrics per label of one group: rows of a label and, per column, a text and what sorts it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, float | None], ...]], ...]
    hidden: int


@dataclass(frozen=True)
class Example:
    """What one group does in one comparison, label by label and sample by sample."""

    title: str
    group: str
    seed: int
    cards: tuple[Card, ...]
    labels: Labels | None


@dataclass(frozen=True)
class Page:
    """The whole report."""

    created_at: datetime
    version: str
    source: str
    run_count: int
    experiments: tuple[Experiment, ...]
    boards: tuple[Board, ...]
    examples: tuple[Example, ...]
    hidden_examples: int
    selection: str
    provenance: Provenance


def gather(store: Store, runs: Runs = None, cards: int = CARDS) -> Page:
    """Everything the page shows. Rankings are read for the shown samples only."""
    found = done_runs(store, runs)
    contents = read_contents(store, runs)
    leaders = _leaders(contents.leaderboard)
    return Page(
        created_at=datetime.now(UTC),
        version=version("mmlab"),
        source=store.url_display,
        run_count=len(found),
        experiments=tuple(_experiments(found, drawn_curves(store, runs))),
        boards=tuple(all_boards(store, contents)),
        examples=tuple(_examples(store, found, leaders[:CARD_SETS], cards)),
        hidden_examples=max(len(leaders) - CARD_SETS, 0),
        selection=SELECTION,
        provenance=provenance(found),
    )


# Rows of frames: values of whatever column.
Row = dict[str, Any]


def _leaders(board: pl.DataFrame) -> list[Row]:
    """Of every comparison and experiment the run here that leads by the main metric."""
    leaders: list[Row] = []
    board = board.filter(pl.col("origin").is_null() & (pl.col("evaluator") != MISSING))
    for part in comparisons(board):
        rows = part.filter(pl.col("metric") == main_metric(part))
        leaders += rows.unique("experiment", keep="first", maintain_order=True).to_dicts()
    return leaders


def _experiments(runs: pl.DataFrame, points: pl.DataFrame) -> Iterable[Experiment]:
    for part in runs.partition_by("experiment", maintain_order=True):
        name = part["experiment"][0]
        hashes = part["group_hash"].unique(maintain_order=True).to_list()
        charts = curve_charts(points.filter(pl.col("experiment") == name), hashes)
        yield Experiment(
            name=name,
            groups=tuple(_groups(part)),
            charts=tuple(charts[:CHARTS]),
            hidden_charts=max(len(charts) - CHARTS, 0),
            hidden_groups=max(len(hashes) - COLOURS, 0),
        )


def _groups(runs: pl.DataFrame) -> Iterable[Group]:
    labels = group_labels(runs.iter_rows(named=True))
    parts = runs.partition_by("group_hash", maintain_order=True)
    for colour, part in enumerate(parts):
        yield Group(
            colour=min(colour, COLOURS),
            label=labels[part["experiment"][0], part["group_hash"][0]],
            seeds=tuple(part["seed"].unique().sort().to_list()),
            run_count=len(part),
        )


def _examples(
    store: Store, runs: pl.DataFrame, leaders: Sequence[Row], cards: int
) -> Iterable[Example]:
    for leader in leaders:
        group = runs.filter(
            (pl.col("group_hash") == leader["group_hash"])
            & (pl.col("experiment") == leader["experiment"])
        ).sort("seed", "replicate")
        run_id, seed = group["run_id"][0], group["seed"][0]
        shown = choose_cards(store, run_id, leader["evaluation"], leader["condition"], cards)
        labels = _labels(store, group["run_id"].to_list(), leader)
        if shown or labels:
            title = comparison_label(leader["evaluation"], leader["condition"], leader["split"])
            (name,) = group_labels([leader]).values()
            yield Example(title, name, seed, tuple(shown), labels)


def _labels(store: Store, runs: Sequence[str], leader: Row) -> Labels | None:
    keys = [key for key in COMPARISON if key != "split"]
    table = label_table(store, runs)
    table = table.filter(*(pl.col(key) == leader[key] for key in keys))
    columns = _label_columns(table)
    if table.is_empty() or not columns:
        return None
    rows = [
        (row["label"], tuple((number(name, row[name]), row[name]) for name in columns))
        for row in table.head(LABELS).iter_rows(named=True)
    ]
    return Labels(tuple(columns), tuple(rows), max(len(table) - LABELS, 0))


def _label_columns(table: pl.DataFrame) -> list[str]:
    """Metrics that have any value here, support first."""
    names = table.columns[table.columns.index("runs") + 1 :]
    used = [name for name in names if table[name].null_count() < len(table)]
    return sorted(used, key=lambda name: (name != "support", name))
