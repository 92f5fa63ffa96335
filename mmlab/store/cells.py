"""Cells as rows, and the values behind hashes: what a queue reads, and what confirms a hit."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, update

from mmlab.hashing import ordered_json
from mmlab.store.bulk import db_now, digest, insert_into, insert_missing
from mmlab.store.rows import CellRow, SpecRow
from mmlab.store.tables import cells, identities, specs


def add_spec(connection: Connection, spec: SpecRow) -> int:
    """The number of a spec, which is added unless its text and content are there."""
    resolved = ordered_json(spec.resolved)
    spec_hash = digest(spec.text + "\0" + resolved)
    query = select(specs.c.id).where(specs.c.hash == spec_hash)
    found: int | None = connection.scalar(query)
    if found is not None:
        return found
    row = {
        "hash": spec_hash,
        "name": spec.name,
        "text": spec.text,
        "resolved": resolved,
        "created_at": db_now(connection),
    }
    insert_missing(connection, specs, row)
    return int(connection.execute(query).scalar_one())


def add_cell(connection: Connection, cell: CellRow, spec_id: int, run_id: str | None) -> None:
    """Add a cell of a spec and the run that it is, or note that it was submitted again."""
    said = {
        "experiment": cell.experiment,
        "position": cell.position,
        "seed": cell.seed,
        "label": cell.label,
        "axes": ordered_json(cell.axes),
        "overrides": None if cell.overrides is None else ordered_json(cell.overrides),
        "budget": cell.budget,
        "resolved": ordered_json(cell.resolved),
    }
    now = db_now(connection)
    key = {"spec_id": spec_id, "run_id": run_id, "hash": digest(ordered_json(said))}
    insert_missing(connection, cells, {**key, **said, "created_at": now, "submitted_at": now})
    if run_id is None or connection.scalar(_newest(cells.c.hash, run_id)) == key["hash"]:
        return
    # A spec that moved and moved back is where it was submitted last.
    same = [cells.c[name] == value for name, value in key.items()]
    connection.execute(update(cells).where(*same).values(submitted_at=now))


def _newest(column: ColumnElement[Any], run_id: str) -> Select[Any]:
    """A column of the cell submitted last of those that are a run."""
    newest_first = (cells.c.submitted_at.desc(), cells.c.id.desc())
    return select(column).where(cells.c.run_id == run_id).order_by(*newest_first).limit(1)


def newest_cell(connection: Connection, run_id: str) -> CellRow | None:
    """The cell submitted last of those that are a run; None for a run that was imported."""
    query = (
        select(cells, specs.c.name, specs.c.text, specs.c.resolved.label("spec_resolved"))
        .join(specs, specs.c.id == cells.c.spec_id)
        .where(cells.c.id == _newest(cells.c.id, run_id).scalar_subquery())
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return CellRow(
        spec=SpecRow(row.name, row.text, json.loads(row.spec_resolved)),
        experiment=row.experiment,
        position=row.position,
        seed=row.seed,
        label=row.label,
        axes=json.loads(row.axes),
        overrides=None if row.overrides is None else json.loads(row.overrides),
        budget=row.budget,
        resolved=json.loads(row.resolved),
    )


def read_contents(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Contents as JSON texts, by hash; hashes of which nothing is kept are left out."""
    query = select(identities).where(identities.c.hash.in_(hashes))
    return {row.hash: row.content for row in connection.execute(query)}


def keep_contents(connection: Connection, contents: Mapping[str, str]) -> None:
    """Keep contents by hash, in place of what was kept."""
    rows = [{"hash": key, "content": content} for key, content in sorted(contents.items())]
    statement = insert_into(connection, identities)
    changed = {"content": statement.excluded.content}
    connection.execute(statement.on_conflict_do_update(index_elements=["hash"], set_=changed), rows)
