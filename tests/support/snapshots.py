"""All that is in a database, rows and schema, to tell whether anything differs."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg
from sqlalchemy import Engine, Inspector, inspect, make_url
from sqlalchemy.engine.interfaces import ReflectedColumn

from mmlab.store.address import parse_address

#: The values of a row with their columns' names.
Row = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Snapshot:
    """All of a database: definitions, and by table and view the rows in an order of our own."""

    schema: dict[str, list[tuple[object, ...]]]
    rows: dict[str, list[Row]]

    def holds(self, before: Snapshot) -> bool:
        """Whether every table and view of before is there with its rows, in its columns."""
        return all(
            _narrowed(self._rows_of(name, rows), rows) == rows
            for name, rows in before.rows.items()
            if name not in _REWRITTEN
        )

    def _rows_of(self, name: str, before: Sequence[Row]) -> list[Row]:
        """What a table of before holds now: pictures are no part of `thumbnails` any more."""
        found = self.rows.get(name, [])
        names = {key for row in (*before[:1], *found[:1]) for key, _ in row}
        return self.rows["sample_pictures"] if {"image", "picture_id"} <= names else found


#: The database's description of itself, and its revision, as a table and as a view.
_REWRITTEN = ("column_docs", "mmlab_alembic_version", "schema_revision")


def _narrowed(rows: Sequence[Row], like: Sequence[Row]) -> list[Row]:
    names = [name for name, _ in like[0]] if like else []
    kept = (dict(row) for row in rows)
    return sorted((tuple((name, row[name]) for name in names) for row in kept), key=repr)


def snapshot(url: str) -> Snapshot:
    """All of a database: equal only where nothing differs, neither rows nor schema."""
    address = parse_address(url)
    if address.path is not None:
        with closing(sqlite3.connect(address.path)) as file:
            return _of_file(file)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        return _of_server(connection)


def _of_file(file: sqlite3.Connection) -> Snapshot:
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    found = file.execute("SELECT name, type, sql FROM sqlite_master ORDER BY name").fetchall()
    readable = [name for name, kind, _ in found if kind in ("table", "view")]
    rows = {name: _rows(file.execute(f'SELECT * FROM "{name}"')) for name in readable}
    return Snapshot({"": [(name, kind, *_lines(kind, sql)) for name, kind, sql in found]}, rows)


def _lines(kind: str, sql: str | None) -> list[str]:
    """A definition; a table's columns and constraints stand in an order that is chance."""
    lines = [line.strip().rstrip(", ") for line in (sql or "").splitlines()]
    return sorted(lines) if kind == "table" else lines


_SERVER = {
    "columns": """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
        ORDER BY c.relname, a.attnum""",
    "tables": """SELECT relname, obj_description(oid) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace ORDER BY 1""",
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
}
_READABLE = """SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    UNION ALL SELECT viewname FROM pg_views WHERE schemaname = 'public'"""


def _of_server(connection: psycopg.Connection) -> Snapshot:
    schema = {kind: connection.execute(query).fetchall() for kind, query in _SERVER.items()}
    readable = [name for (name,) in connection.execute(_READABLE).fetchall()]
    rows = {
        name: _rows(connection.execute(cast(LiteralString, f'SELECT * FROM "{name}"')))
        for name in readable
    }
    return Snapshot(schema, rows)


def _rows(cursor: sqlite3.Cursor | psycopg.Cursor[Any]) -> list[Row]:  # Any: a row
    assert cursor.description
    names = [column[0] for column in cursor.description]
    rows = (tuple(zip(names, row, strict=True)) for row in cursor.fetchall())
    return sorted(map(_without_chance, rows), key=repr)


def _without_chance(row: Row) -> Row:
    """The row; for that of a database's own id, which no two have in common, one that all share."""
    if row[0] != ("key", "id"):
        return row
    assert re.fullmatch("[0-9a-f]{32}", str(row[1][1]))
    return (("key", "id"), ("value", "its own"))


#: What a driver calls a type, where the two call it differently.
_TYPES = {"DATETIME": "TIME", "TIMESTAMP": "TIME", "DOUBLE PRECISION": "DOUBLE", "BYTEA": "BLOB"}


def schema_lines(engine: Engine) -> list[str]:
    """A schema in words that are the same on both databases, a fact a line."""
    inspector = inspect(engine)
    lines = []
    for table in sorted(inspector.get_table_names()):
        lines += [
            f"{table}.{column['name']}: {_type(column)}{'' if column['nullable'] else ', required'}"
            for column in inspector.get_columns(table)
        ]
        key = inspector.get_pk_constraint(table)
        lines.append(f"{table}: key {key['name']}: {', '.join(key['constrained_columns'])}")
        lines += sorted(f"{table}: {line}" for line in _constraints(inspector, table))
    for view in sorted(inspector.get_view_names()):
        names = ", ".join(column["name"] for column in inspector.get_columns(view))
        lines.append(f"{view}: view of {names}")
    return lines


def _type(column: ReflectedColumn) -> str:
    name = str(column["type"])
    return _TYPES.get(name, name)


def _constraints(inspector: Inspector, table: str) -> Iterator[str]:
    for key in inspector.get_foreign_keys(table):
        source, target = ", ".join(key["constrained_columns"]), ", ".join(key["referred_columns"])
        yield f"reference: {source} to {key['referred_table']} {target}"
    for unique in inspector.get_unique_constraints(table):
        yield f"unique {unique['name']}: {', '.join(unique['column_names'])}"
    for check in inspector.get_check_constraints(table):
        yield f"check {check['name']}"
    for index in inspector.get_indexes(table):
        if "duplicates_constraint" not in index:
            kind = "unique index" if index["unique"] else "index"
            options = index.get("dialect_options", {})
            where = " in part" if any(name.endswith("_where") for name in options) else ""
            names = ", ".join(str(name) for name in index["column_names"])
            yield f"{kind} {index['name']}{where}: {names}"
