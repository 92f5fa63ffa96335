"""Points of training curves, and how a value that no database orders alike is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import Connection

from mmlab.records import MetricPoint
from mmlab.store.dialect import insert_into
from mmlab.store.text import check_texts
from mmlab.tables import metrics


def as_pair(value: float | None) -> tuple[float | None, str]:
    """A metric as its columns `value` and `value_kind`."""
    if value is None:
        return None, "undefined"
    return (value, "finite") if math.isfinite(value) else (None, str(float(value)))


def write_points(connection: Connection, run_id: str, points: Sequence[MetricPoint]) -> None:
    """Add points of curves, or replace those of the same name and step."""
    rows = []
    for point in points:
        value, kind = as_pair(point.value)
        row = {"run_id": run_id, "name": point.name, "step": point.step}
        rows.append({**row, "value": value, "value_kind": kind})
    if not rows:
        return
    statement = insert_into(connection, metrics)
    statement = statement.on_conflict_do_update(
        index_elements=["run_id", "name", "step"],
        index_where=metrics.c.evaluation_id.is_(None),
        set_={
            "value": statement.excluded.value,
            "value_kind": statement.excluded.value_kind,
        },
    )
    connection.execute(statement, rows)


def check_points(points: Sequence[MetricPoint]) -> None:
    """Raise DataError for a name that could not be stored exactly."""
    check_texts("name of metric", [point.name for point in points])
