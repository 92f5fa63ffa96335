"""What an HTML report says, gathered from the store: plain values, ready for the template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from mmlab.report.boards.board import Board
from mmlab.report.boards.words import comparison_label, group_labels, number, short_names
from mmlab.report.box_cards import SELECTION as BOX_SELECTION
from mmlab.report.box_cards import BoxCard, choose_box_cards
from mmlab.report.card_reading import SELECTION, choose_cards
from mmlab.report.cards import Card
from mmlab.report.contents import all_boards, failure_cells, read_contents
from mmlab.report.frames import Runs, done_runs, label_table, label_units
from mmlab.report.leaderboard import COMPARISON, leaders
from mmlab.report.pictures.gather import gather_pictures
from mmlab.report.pictures.picture import Picture
from mmlab.report.provenance import Provenance, provenance
from mmlab.store import Store

#: What one page shows at most of each; more is counted, not drawn.
CARDS = 12
#: Pictures with boxes of a comparison, each as wide as a card.
SCENES = 6
CARD_SETS = 8
LABELS = 1000
FAILURES = 500


@dataclass(frozen=True)
class ShownGroup:
    """Runs that differ in their seed only."""

    label: str
    seeds: tuple[int, ...]
    run_count: int


@dataclass(frozen=True)
class ShownExperiment:
    """One experiment's groups."""

    name: str
    groups: tuple[ShownGroup, ...]


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
    scenes: tuple[BoxCard, ...] = ()
    selection: str = BOX_SELECTION


@dataclass(frozen=True)
class Found:
    """A sentence of what was found, what it is about, and where on the page that is shown."""

    text: str
    about: str
    anchor: str


@dataclass(frozen=True)
class Page:
    """The whole report."""

    created_at: datetime
    version: str
    source: str
    run_count: int
    findings: tuple[Found, ...]
    experiments: tuple[ShownExperiment, ...]
    boards: tuple[Board, ...]
    pictures: tuple[Picture, ...]
    examples: tuple[Example, ...]
    hidden_examples: int
    selection: str
    provenance: Provenance
    failures: tuple[tuple[str, ...], ...]
    hidden_failures: int


def gather(store: Store, runs: Runs = None, cards: int = CARDS, curves: Runs = None) -> Page:
    """Everything the page shows. Rankings are read for the shown samples only.

    Pictures are of the leaders, and of the groups of the runs in `curves`.
    """
    found = done_runs(store, runs)
    contents = read_contents(store, runs)
    leading = leaders(contents.leaderboard)
    shown = tuple(all_boards(store, contents))
    return Page(
        created_at=datetime.now(UTC),
        version=version("mmlab"),
        source=store.url_display,
        run_count=len(found),
        findings=tuple(_found(contents.findings, shown)),
        experiments=tuple(_experiments(found)),
        boards=shown,
        pictures=tuple(gather_pictures(store, found, contents, runs, curves)),
        examples=tuple(_examples(store, found, leading[:CARD_SETS], cards)),
        hidden_examples=max(len(leading) - CARD_SETS, 0),
        selection=SELECTION,
        provenance=provenance(found),
        failures=tuple(failure_cells(contents.failures.head(FAILURES))),
        hidden_failures=max(len(contents.failures) - FAILURES, 0),
    )


def _found(findings: pl.DataFrame, shown: Sequence[Board]) -> Iterable[Found]:
    anchors = {board.title: f"board-{number}" for number, board in enumerate(shown, start=1)}
    anchors["failures"] = "failures"
    for row in findings.iter_rows(named=True):
        yield Found(row["finding"], row["about"], anchors.get(row["about"], ""))


# Rows of frames: values of whatever column.
Row = dict[str, Any]


def _experiments(runs: pl.DataFrame) -> Iterable[ShownExperiment]:
    for part in runs.partition_by("experiment", maintain_order=True):
        yield ShownExperiment(name=part["experiment"][0], groups=tuple(_groups(part)))


def _groups(runs: pl.DataFrame) -> Iterable[ShownGroup]:
    labels = short_names(runs.iter_rows(named=True), is_named=False).labels
    parts = runs.partition_by("group_hash", maintain_order=True)
    for part in parts:
        yield ShownGroup(
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
        asked = leader["evaluation"], leader["condition"]
        scenes = choose_box_cards(store, run_id, *asked, min(cards, SCENES))
        labels = _labels(store, group["run_id"].to_list(), leader)
        if shown or labels or scenes:
            title = comparison_label(leader["evaluation"], leader["condition"], leader["split"])
            (name,) = group_labels([leader]).values()
            yield Example(title, name, seed, tuple(shown), labels, tuple(scenes))


def _labels(store: Store, runs: Sequence[str], leader: Row) -> Labels | None:
    keys = [key for key in COMPARISON if key != "split"]
    table = label_table(store, runs)
    table = table.filter(*(pl.col(key) == leader[key] for key in keys))
    units = label_units(store, runs)
    columns = [name for name in units if name in _label_columns(table)]
    if table.is_empty() or not columns:
        return None
    rows = [
        (row["label"], tuple((number(units[name], row[name]), row[name]) for name in columns))
        for row in table.head(LABELS).iter_rows(named=True)
    ]
    return Labels(tuple(columns), tuple(rows), max(len(table) - LABELS, 0))


def _label_columns(table: pl.DataFrame) -> list[str]:
    """Metrics that have any value here."""
    names = table.columns[table.columns.index("runs") + 1 :]
    return [name for name in names if table[name].null_count() < len(table)]
