"""Cells as rows, and the values behind hashes: what a queue reads, and what confirms a hit.

Also the few facts about a database itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select, update

from mmlab.hashing import ordered_json
from mmlab.store import views
from mmlab.store.bulk import (
    among,
    any_of,
    db_now,
    digest,
    from_json,
    insert_into,
    insert_missing,
    sound,
)
from mmlab.store.rows import CellRow, SpecRow
from mmlab.store.tables import cells, identities, properties, specs


def add_spec(connection: Connection, spec: SpecRow) -> int:
    """The number of a spec, which is added unless its text and content are there."""
    return _add_specs(connection, [spec])[0]


def _add_specs(connection: Connection, added: Sequence[SpecRow]) -> list[int]:
    # Cells of one sweep share their spec, and its content is large.
    by_object = {id(spec): _spec_row(spec) for spec in added}
    by_hash = {row["hash"]: row for row in by_object.values()}
    numbers = {key: _add_spec(connection, row) for key, row in by_hash.items()}
    return [numbers[by_object[id(spec)]["hash"]] for spec in added]


def _spec_row(spec: SpecRow) -> dict[str, str]:
    resolved = ordered_json(spec.resolved)
    spec_hash = digest(spec.text + "\0" + resolved)
    return {"hash": spec_hash, "name": spec.name, "text": spec.text, "resolved": resolved}


def _add_spec(connection: Connection, row: Mapping[str, str]) -> int:
    query = select(specs.c.id).where(specs.c.hash == row["hash"])
    found: int | None = connection.scalar(query)
    if found is not None:
        return found
    insert_missing(connection, specs, {**row, "created_at": db_now(connection)})
    return int(connection.execute(query).scalar_one())


def add_cell(connection: Connection, cell: CellRow, spec_id: int, run_id: str | None) -> None:
    """Add a cell of a spec and the run that it is, or note that it was submitted again."""
    row = _row(cell, spec_id, run_id)
    now = db_now(connection)
    insert_missing(connection, cells, {**row, "created_at": now, "submitted_at": now})
    if run_id is None or connection.scalar(_newest(cells.c.hash, run_id)) == row["hash"]:
        return
    # A spec that moved and moved back is where it was submitted last.
    same = [cells.c[name] == row[name] for name in ("spec_id", "run_id", "hash")]
    connection.execute(update(cells).where(*same).values(submitted_at=now))


def add_cells(connection: Connection, added: Sequence[CellRow]) -> list[int]:
    """The numbers of cells without a run, in order; those that are not there yet are added."""
    spec_ids = _add_specs(connection, [cell.spec for cell in added])
    rows = [_row(cell, spec_id, None) for cell, spec_id in zip(added, spec_ids, strict=True)]
    now = connection.scalar(select(db_now(connection)))
    dated = [{**row, "created_at": now, "submitted_at": now} for row in rows]
    insert_missing(connection, cells, dated)
    query = select(cells.c.id, cells.c.spec_id, cells.c.hash).where(
        cells.c.run_id.is_(None), any_of(connection, cells.c.spec_id, set(spec_ids))
    )
    numbers = {(row.spec_id, row.hash): row.id for row in connection.execute(query)}
    return [numbers[row["spec_id"], row["hash"]] for row in rows]


def without_run(connection: Connection, run_id: str) -> int | None:
    """The number of the newest cell that is a run, as a cell without one; None if there is none."""
    names = [column.name for column in cells.columns if column.name not in ("id", "run_id")]
    query = select(*(cells.c[name] for name in names))
    query = query.where(cells.c.id == _newest(cells.c.id, run_id).scalar_subquery())
    row = connection.execute(query).first()
    if row is None:
        return None
    insert_missing(connection, cells, dict(row._mapping))
    same = [cells.c[name] == row._mapping[name] for name in ("spec_id", "hash")]
    return connection.scalar(select(cells.c.id).where(cells.c.run_id.is_(None), *same))


def _row(cell: CellRow, spec_id: int, run_id: str | None) -> dict[str, Any]:  # Any: of any column
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
    return {"spec_id": spec_id, "run_id": run_id, "hash": digest(ordered_json(said)), **said}


def _newest(column: ColumnElement[Any], run_id: str) -> Select[Any]:
    """A column of the cell submitted last of those that are a run."""
    newest_first = (cells.c.submitted_at.desc(), cells.c.id.desc())
    return select(column).where(cells.c.run_id == run_id).order_by(*newest_first).limit(1)


def newest_cell(connection: Connection, run_id: str) -> CellRow | None:
    """The cell submitted last of those that are a run; None for a run that was imported."""
    seen = views.whole_cells.c
    newest_first = (seen.submitted_at.desc(), seen.cell_id.desc())
    query = select(*SEEN).where(seen.run_id == run_id).order_by(*newest_first).limit(1)
    row = connection.execute(query).first()
    return None if row is None else as_cell(row)


#: All columns of a whole cell, from `cells` joined to `specs`.
WHOLE = (
    *(column.label(f"of_cell_{column.name}") for column in cells.columns),
    *(column.label(f"of_spec_{column.name}") for column in specs.columns),
)


def viewed(table: Table, view: Table, prefix: str = "", **renamed: str) -> list[ColumnElement[Any]]:
    """The columns of a table as a view shows them; `renamed` are the table's names and the view's.

    Whoever only reads may have no right to the tables.
    """
    names = table.columns.keys()
    return [view.c[renamed.get(name, name)].label(f"{prefix}{name}") for name in names]


#: The same columns, from the view of whole cells.
SEEN = (
    *viewed(cells, views.whole_cells, "of_cell_", id="cell_id", label="cell"),
    *viewed(
        specs,
        views.whole_cells,
        "of_spec_",
        **{"id": "spec_id", "name": "spec", "text": "spec_text", "hash": "spec_hash"},
        **{"resolved": "spec_resolved", "created_at": "spec_created_at"},
    ),
)


def as_cell(row: Row[Any]) -> CellRow:
    """A row that has the columns WHOLE, as a value."""
    sound(row, cells, "of_cell_")
    sound(row, specs, "of_spec_")
    return CellRow(
        spec=SpecRow(
            row.of_spec_name, row.of_spec_text, from_json(row.of_spec_resolved, specs.c.resolved)
        ),
        experiment=row.of_cell_experiment,
        position=row.of_cell_position,
        seed=row.of_cell_seed,
        label=row.of_cell_label,
        axes=from_json(row.of_cell_axes, cells.c.axes),
        overrides=None
        if row.of_cell_overrides is None
        else from_json(row.of_cell_overrides, cells.c.overrides),
        budget=row.of_cell_budget,
        resolved=from_json(row.of_cell_resolved, cells.c.resolved),
    )


def read_contents(connection: Connection, hashes: Collection[str]) -> dict[str, str]:
    """Contents as JSON texts, by hash; hashes of which nothing is kept are left out."""
    query = select(identities).where(among(identities.c.hash, hashes))
    rows = [sound(row, identities) for row in connection.execute(query).all()]
    for row in rows:
        from_json(row.content, identities.c.content)
    return {row.hash: row.content for row in rows}


def keep_contents(connection: Connection, contents: Mapping[str, str]) -> None:
    """Keep contents by hash, in place of what was kept."""
    rows = [{"hash": key, "content": content} for key, content in sorted(contents.items())]
    statement = insert_into(connection, identities)
    changed = {"content": statement.excluded.content}
    connection.execute(statement.on_conflict_do_update(index_elements=["hash"], set_=changed), rows)


def read_property(connection: Connection, key: str) -> str | None:
    """A fact about the database itself; None where it has none of this name."""
    row = connection.execute(select(properties).where(properties.c.key == key)).first()
    return None if row is None else str(sound(row, properties).value)


def keep_property(connection: Connection, key: str, value: str, *, replace: bool) -> str:
    """Keep a fact about the database unless it is there, or in its place; the one that holds."""
    statement = insert_into(connection, properties).values(key=key, value=value)
    kept = (
        statement.on_conflict_do_update(index_elements=["key"], set_={"value": value})
        if replace
        else statement.on_conflict_do_nothing()
    )
    connection.execute(kept)
    return read_property(connection, key) or value
