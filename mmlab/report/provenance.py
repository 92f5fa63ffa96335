"""The provenance of reported runs: what is the same for all of them, and what is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

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
