"""Deleting imported runs: results that another tool made, and nothing that was executed here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, or_, select

from mmlab.errors import UsageError, explain
from mmlab.store.bulk import among
from mmlab.store.rows import RunRow
from mmlab.store.runs import as_run
from mmlab.store.tables import runs
from mmlab.store.write import delete_results


def imported_runs(connection: Connection, names: Sequence[str]) -> list[RunRow]:
    """The imported runs of these names, or whose ids start so, in order.

    Raises UsageError where a name stands for none, or for a run that was executed here.
    """
    found = {row.run_id: row for name in names for row in _named(connection, name)}
    return list(found.values())


def _named(connection: Connection, name: str) -> list[RunRow]:
    starts_so = runs.c.id.startswith(name.lower(), autoescape=True) if name else runs.c.id == ""
    query = select(runs).where(or_(runs.c.experiment == name, starts_so))
    rows = [as_run(row) for row in connection.execute(query.order_by(runs.c.created_at, runs.c.id))]
    own = [row for row in rows if row.origin is None]
    if rows and not own:
        return rows
    raise UsageError(
        explain(
            f"mmlab import remove {name}",
            "it was executed here" if own else "nothing of this name was imported",
            found=f"{own[0].experiment}, run {own[0].run_id}" if own else "none",
            allowed="the name of imported results, or the start of the id of an imported run",
            next_step="see what was imported: mmlab ls; nothing was removed",
        )
    )


def remove_runs(connection: Connection, run_ids: Collection[str]) -> None:
    """Delete imported runs with their results; those that are gone already stay gone."""
    mine = among(runs.c.id, run_ids), runs.c.origin.is_not(None)
    for run_id in connection.scalars(select(runs.c.id).where(*mine).with_for_update()).all():
        delete_results(connection, run_id)
    connection.execute(delete(runs).where(*mine))
