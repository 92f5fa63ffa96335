"""What an HTML report says, gathered from the store: plain values, ready for the template.

With the provenance of the reported runs: what is the same for all of them, and what is not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import polars as pl

from mmlab.report.boards.board import Board
from mmlab.report.boards.words import comparison_label, group_labels, number
from mmlab.report.card_reading import SELECTION, choose_cards
from mmlab.report.cards import Card
from mmlab.report.contents import all_boards, failure_cells, read_contents
from mmlab.report.frames import Runs, done_runs, label_table, label_units
from mmlab.report.leaderboard import COMPARISON, leaders
from mmlab.report.pictures.gather import gather_pictures
from mmlab.report.pictures.picture import Picture
from mmlab.store import Store

#: What one page shows at most of each; more is counted, not drawn.
CARDS = 12
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


@dataclass(frozen=True)
class Page:
    """The whole report."""

    created_at: datetime
    version: str
    source: str
    run_count: int
    experiments: tuple[ShownExperiment, ...]
    boards: tuple[Board, ...]
    pictures: tuple[Picture, ...]
    examples: tuple[Example, ...]
    hidden_examples: int
    selection: str
    provenance: Provenance
    failures: tuple[tuple[str, ...], ...]
    hidden_failures: int
    lacks: str | None


def gather(store: Store, runs: Runs = None, cards: int = CARDS, curves: Runs = None) -> Page:
    """Everything the page shows. Rankings are read for the shown samples only.

    Pictures are of the leaders, and of the groups of the runs in `curves`.
    """
    found = done_runs(store, runs)
    contents = read_contents(store, runs)
    leading = leaders(contents.leaderboard)
    return Page(
        created_at=datetime.now(UTC),
        version=version("mmlab"),
        source=store.url_display,
        run_count=len(found),
        experiments=tuple(_experiments(found)),
        boards=tuple(all_boards(store, contents)),
        pictures=tuple(gather_pictures(store, found, contents, runs, curves)),
        examples=tuple(_examples(store, found, leading[:CARD_SETS], cards)),
        hidden_examples=max(len(leading) - CARD_SETS, 0),
        selection=SELECTION,
        provenance=provenance(found),
        failures=tuple(failure_cells(contents.failures.head(FAILURES))),
        hidden_failures=max(len(contents.failures) - FAILURES, 0),
        lacks=contents.lacks,
    )


# Rows of frames: values of whatever column.
Row = dict[str, Any]


def _experiments(runs: pl.DataFrame) -> Iterable[ShownExperiment]:
    for part in runs.partition_by("experiment", maintain_order=True):
        yield ShownExperiment(name=part["experiment"][0], groups=tuple(_groups(part)))


def _groups(runs: pl.DataFrame) -> Iterable[ShownGroup]:
    labels = group_labels(runs.iter_rows(named=True))
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
        labels = _labels(store, group["run_id"].to_list(), leader)
        if shown or labels:
            title = comparison_label(leader["evaluation"], leader["condition"], leader["split"])
            (name,) = group_labels([leader]).values()
            yield Example(title, name, seed, tuple(shown), labels)


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


#: Rows of the table of runs; further ones are counted.
SHOWN_RUNS = 500
_SHOWN_VALUES = 6


@dataclass(frozen=True)
class Origin:
    """One run: where and when it was executed."""

    run_id: str
    experiment: str
    cell: str
    seed: int
    replicate: int
    commit: str
    device: str
    seconds: float | None
    finished_at: str


@dataclass(frozen=True)
class Fact:
    """One recorded fact, by its dotted path, and in how many runs it has which value."""

    path: str
    values: tuple[tuple[str, int], ...]
    hidden: int


@dataclass(frozen=True)
class Provenance:
    """Facts that all runs share, facts in which they differ, and the runs."""

    shared: tuple[Fact, ...]
    differing: tuple[Fact, ...]
    runs: tuple[Origin, ...]
    hidden_runs: int


def provenance(runs: pl.DataFrame) -> Provenance:
    """Sort the provenance of `done_runs` into what is shared and what differs."""
    counts: dict[str, Counter[str]] = {}
    for text in runs["provenance"]:
        for path, value in _flat("", json.loads(text)):
            counts.setdefault(path, Counter())[value] += 1
    facts = [_fact(path, counts[path], len(runs)) for path in sorted(counts)]
    return Provenance(
        shared=tuple(fact for fact in facts if len(fact.values) == 1),
        differing=tuple(fact for fact in facts if len(fact.values) > 1),
        runs=tuple(_origins(runs.head(SHOWN_RUNS))),
        hidden_runs=max(len(runs) - SHOWN_RUNS, 0),
    )


def _fact(path: str, values: Counter[str], run_count: int) -> Fact:
    missing = run_count - values.total()
    if missing:
        values["not recorded"] += missing
    return Fact(path, tuple(values.most_common(_SHOWN_VALUES)), max(len(values) - _SHOWN_VALUES, 0))


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origins(runs: pl.DataFrame) -> Iterator[Origin]:
    for row in runs.iter_rows(named=True):
        facts = dict(_flat("", json.loads(row["provenance"])))
        duration = row["finished_at"] - row["started_at"] if row["started_at"] else None
        yield Origin(
            run_id=row["run_id"],
            experiment=row["experiment"],
            cell=row["cell"],
            seed=row["seed"],
            replicate=row["replicate"],
            commit=_commit(facts),
            device=_first(facts, "device"),
            seconds=duration.total_seconds() if duration else None,
            finished_at=f"{row['finished_at']:%Y-%m-%d %H:%M}",
        )


def _commit(facts: Mapping[str, str]) -> str:
    commit = _first(facts, "commit")[:10]
    return f"{commit} + changes" if commit and _first(facts, "is_dirty") == "true" else commit


def _first(facts: Mapping[str, str], name: str) -> str:
    """The value of the fact of this name, wherever in the record it stands."""
    return next((v for path, v in facts.items() if path.rpartition(".")[2] == name), "")
