"""Published figures beside others: values that somebody printed, of samples that nobody has here.

They are told apart from what is compared: a value each, no interval, no test and no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select

from mmlab.report.compare.sides import Side
from mmlab.store import Store, views
from mmlab.store.bulk import among

# Rows of frames: values of whatever type.
Row = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """The value of one side, its difference to the first side's, and whether it is published."""

    side: str
    value: float
    difference: float | None
    is_published: bool


@dataclass(frozen=True)
class Published:
    """A metric on a test set that figures of some sides are published of."""

    evaluator: str
    condition: str
    test_set: str
    metric: str
    unit: str
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        """What was asked, and the metric."""
        return " · ".join(
            filter(None, (self.test_set, self.evaluator, self.condition, self.metric))
        )


def find_published(
    store: Store, sides: Sequence[Side], metric: str | None = None
) -> list[Published]:
    """The figures that are published of a side and that another side has too, by their test set.

    `metric` is another one than the main one of the test set, where all sides have it.
    """
    asked: dict[tuple[str, str, str], dict[int, list[Row]]] = {}
    places = {run: place for place, side in enumerate(sides) for run in side.run_ids}
    for row in _rows(store, [*places]):
        key = (row["evaluator"], row["condition"], row["test_set"])
        asked.setdefault(key, {}).setdefault(places[row["run_id"]], []).append(row)
    found = [
        _published(key, rows, sides, metric)
        for key, rows in asked.items()
        if len(rows) > 1 and any(map(_is_published, rows.values()))
    ]
    return [one for one in found if one is not None]


def _rows(store: Store, run_ids: Sequence[str]) -> list[Row]:
    """The values of sides on test sets that have a name; of what was asked twice the newest."""
    row, told = views.leaderboard.c, views.declared_metrics.c
    columns = (row.run_id, row.evaluation_id, row.evaluator, row.condition, row.test_set)
    more = (row.main_metric, row.metric, row.unit, row.value, row.sample_count, row.origin)
    query = (
        select(*columns, *more, told.position)
        .join(views.declared_metrics, told.metric_declaration_id == row.metric_declaration_id)
        .where(among(row.run_id, run_ids), row.split == "test", row.test_set.is_not(None))
        .where(row.value.is_not(None))
        .order_by(row.evaluation_id, told.position, row.metric)
    )
    newest: dict[tuple[str, ...], Row] = {}
    for one in store.frame(query).to_dicts():
        newest[
            one["run_id"], one["evaluator"], one["condition"], one["test_set"], one["metric"]
        ] = one
    return [*newest.values()]


def _is_published(rows: Sequence[Row]) -> bool:
    return all(row["origin"] is not None and not row["sample_count"] for row in rows)


def _published(
    key: tuple[str, str, str],
    rows: Mapping[int, Sequence[Row]],
    sides: Sequence[Side],
    metric: str | None,
) -> Published | None:
    first = rows[min(rows)]
    common = [
        row["metric"]
        for row in first
        if all(any(one["metric"] == row["metric"] for one in each) for each in rows.values())
    ]
    main = next((row["main_metric"] for each in rows.values() for row in each), None)
    chosen = next((name for name in (metric, main, *common) if name in common), None)
    if chosen is None:
        return None
    named = {
        place: [row["value"] for row in each if row["metric"] == chosen]
        for place, each in sorted(rows.items())
    }
    means = {place: float(np.mean(values)) for place, values in named.items()}
    base = means.get(0)
    values = tuple(
        Value(
            sides[place].name,
            mean,
            None if base is None or place == 0 else mean - base,
            _is_published(rows[place]),
        )
        for place, mean in means.items()
    )
    unit = next(row["unit"] for row in first if row["metric"] == chosen)
    return Published(*key, metric=chosen, unit=unit or "", values=values)
