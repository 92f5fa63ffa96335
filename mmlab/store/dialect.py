"""The few statements that SQLite and Postgres word differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, DateTime, Table, func, text, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

#: Held while new labels or samples are added, so that two processes never add them in two orders.
_CATALOGUE_LOCK = int.from_bytes(b"catalog")

Insert = sqlite.Insert | postgresql.Insert


def insert_into(connection: Connection, table: Table) -> Insert:
    """An insert that can say what happens on a conflict."""
    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite.insert(table) if is_sqlite else postgresql.insert(table)


def insert_missing(
    connection: Connection,
    table: Table,
    rows: Mapping[str, object] | Sequence[Mapping[str, object]],
) -> None:
    """Insert what no unique key of the table holds already."""
    statement = insert_into(connection, table).on_conflict_do_nothing()
    if isinstance(rows, Mapping):
        connection.execute(statement.values(rows))
    elif rows:
        connection.execute(statement, rows)


def db_now(connection: Connection, seconds: float = 0.0) -> ColumnElement[object]:
    """The database's own clock, so many seconds from now: the only clock that leases know."""
    if connection.dialect.name == "sqlite":
        shift = f"{seconds:+.3f} seconds"
        now = func.strftime("%Y-%m-%d %H:%M:%f", "now", shift)
        return type_coerce(now, DateTime(timezone=True))
    return func.clock_timestamp() + timedelta(seconds=seconds)


def lock_catalogue(connection: Connection) -> None:
    """Wait for others that add labels or samples. A write on SQLite has waited already."""
    if connection.dialect.name == "postgresql":
        statement = text("SELECT pg_advisory_xact_lock(:key)")
        connection.execute(statement, {"key": _CATALOGUE_LOCK})
