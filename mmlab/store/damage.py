"""What a database holds that mmlab never wrote: found by table, row and column.

Reading trusts what is stored. Where it fails, this looks all tables through for the reason: values
of another type than their column's, NULL where none may be, a text that is no JSON or no UTF-8,
and what a check or a hash of the table contradicts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import (
    REAL,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Table,
    Text,
    and_,
    cast,
    false,
    func,
    inspect,
    literal_column,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.types import NullType

from mmlab.errors import StoreError, explain, harmless
from mmlab.store.address import Address
from mmlab.store.bulk import digest, from_json, is_json
from mmlab.store.tables import metadata

#: How times are stored in a SQLite file, as its GLOB has it.
_TIME = "[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]*"
#: Hashes of a table, and the columns that they are of.
_HASHED = {
    "specs": ("hash", ("text", "resolved")),
    "labels": ("text_hash", ("text",)),
    "evaluations": ("protocol_hash", ("protocol",)),
}
#: Of each kind of column: what SQLite calls its values, and what a person does.
_KINDS = {
    Text: (("text",), "a text"),
    Boolean: (("integer",), "0 or 1"),
    Integer: (("integer",), "an integer"),
    Double: (("real", "integer"), "a number"),
    REAL: (("real", "integer"), "a number"),
    DateTime: (("text",), "a time, YYYY-MM-DD HH:MM:SS.ffffff"),
    LargeBinary: (("blob",), "bytes"),
}
#: Characters of a value that a message shows.
_SHOWN = 60

# A column, and values of whatever type: nothing is known of them.
AnyColumn = Column[Any]
Values = Sequence[Any]
#: The key of a row, its columns in words, what is wrong with them, found and allowed.
Fault = tuple[Values, str, str, str, str]


def find_damage(connection: Connection, address: Address) -> StoreError | None:
    """The first of a database's values that is not what mmlab writes; None if there is none."""
    if connection.dialect.name == "sqlite" and (broken := _broken_file(connection)):
        return _error(address.display, "the database file is damaged", broken, "a whole file")
    for table in _present(connection):
        with closing(_faults(connection, table)) as faults:
            fault = next(faults, None)
        if fault is not None:
            return _describe(address, table, *fault)
    return None


def _describe(
    address: Address, table: Table, key: Values, named: str, fault: str, found: str, allowed: str
) -> StoreError:
    pairs = zip(_key(table), key, strict=True)
    row = ", ".join(f"{column.name} {_shown(value)}" for column, value in pairs)
    place = f"{address.display}: table {table.name}, row {row}, {named}"
    return _error(place, f"the database is damaged: {fault}", found, allowed)


def _key(table: Table) -> Sequence[AnyColumn]:
    """What tells a row: the primary key, or all that unique indexes are of."""
    indexed = (column for index in table.indexes if index.unique for column in index.columns)
    return list(table.primary_key) or [*dict.fromkeys(indexed)]


def _present(connection: Connection) -> Iterator[Table]:
    """The tables with the columns that a database has, which may be of an older revision."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    for table in metadata.sorted_tables:
        if table.name in names:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            if there >= set(table.columns.keys()):
                yield table


def _error(place: str, fault: str, found: str, allowed: str) -> StoreError:
    step = "restore the database from a copy, or correct what is named"
    return StoreError(explain(place, fault, found=found, allowed=allowed, next_step=step))


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        value = value[: _SHOWN + 1].decode(errors="backslashreplace")
    whole = harmless(str(value), keep="")
    return whole if len(whole) <= _SHOWN else f"{whole[:_SHOWN]}..."


def _broken_file(connection: Connection) -> str | None:
    """What SQLite says of pages and indexes that are out of order."""
    said = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
    # The other things that it finds are told by row and column.
    is_of_values = any(word in said for word in ("CHECK constraint", "NULL value", " value in "))
    return None if said == "ok" or is_of_values else " ".join(said.split())


def _faults(connection: Connection, table: Table) -> Generator[Fault, None, None]:
    is_sqlite = connection.dialect.name == "sqlite"
    for column in table.columns if is_sqlite else ():
        yield from _wrong_values(connection, column)
    for column in table.columns:
        if isinstance(column.type, Text):
            yield from _wrong_texts(connection, column)
    for check in table.constraints if is_sqlite else ():
        if isinstance(check, CheckConstraint):
            yield from _refuted(connection, table, check)
    if table.name in _HASHED:
        yield from _wrong_hashes(connection, table, *_HASHED[table.name])


def _rows(
    connection: Connection,
    table: Table,
    values: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool],
) -> Iterator[tuple[Values, Values]]:
    """Keys and values of rows, as the driver gives them."""
    key = [_raw(connection, column) for column in _key(table)]
    # Closed, for an open cursor would keep the file locked.
    with closing(connection.execute(select(*key, *values).where(where))) as rows:
        for row in rows:
            yield row[: len(key)], row[len(key) :]


def _raw(connection: Connection, column: AnyColumn) -> ColumnElement[Any]:
    """A value as it is stored; a text of a file, which may be no UTF-8, as bytes."""
    if connection.dialect.name == "sqlite" and isinstance(column.type, (Text, LargeBinary)):
        return type_coerce(cast(column, LargeBinary), NullType())
    return type_coerce(column, NullType())


def _wrong_values(connection: Connection, column: AnyColumn) -> Iterator[Fault]:
    """Values of another type than their column's, of which a file can have any, and NULL."""
    names, words = _kind(column)
    allowed = f"{words}, or NULL" if column.nullable else words
    kind = func.typeof(column)
    values = [cast(column, LargeBinary), kind]
    for key, (value, found) in _rows(connection, column.table, values, _is_wrong(column, names)):
        fault = "no value" if value is None else "a value of another kind"
        shown = "NULL" if value is None else f"{found} {_shown(value)}"
        yield key, f"column {column.name}", fault, shown, allowed


def _kind(column: AnyColumn) -> tuple[tuple[str, ...], str]:
    return next(found for kind, found in _KINDS.items() if isinstance(column.type, kind))


def _is_wrong(column: AnyColumn, names: Sequence[str]) -> ColumnElement[bool]:
    plain = type_coerce(column, NullType())
    wrong: ColumnElement[bool] = func.typeof(column).not_in([*names, "null"])
    if isinstance(column.type, Boolean):
        wrong = or_(wrong, plain.not_in([literal_column("0"), literal_column("1")]))
    if isinstance(column.type, DateTime):
        # A day that the calendar lacks is another one to SQLite, or none.
        is_day = func.date(func.julianday(column)) == func.substr(column, 1, 10)
        is_time = and_(plain.op("GLOB")(_TIME), func.coalesce(is_day, false()))
        wrong = and_(plain.is_not(None), or_(wrong, not_(is_time)))
    # SQLite takes a column's word that it is not NULL, and would not look.
    return wrong if column.nullable else or_(wrong, func.typeof(column) == "null")


def _wrong_texts(connection: Connection, column: AnyColumn) -> Iterator[Fault]:
    """Texts that are no UTF-8, or no JSON where that is what the column holds."""
    values = [_raw(connection, column)]
    for key, (value,) in _rows(connection, column.table, values, column.is_not(None)):
        try:
            written = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            yield key, f"column {column.name}", "no UTF-8", _shown(value), "text in UTF-8"
            continue
        if is_json(column):
            try:
                from_json(written, column)
            except (ValueError, RecursionError) as error:
                yield key, f"column {column.name}", str(error), _shown(written), "what mmlab wrote"


def _refuted(connection: Connection, table: Table, check: CheckConstraint) -> Iterator[Fault]:
    """Rows that a check of their table contradicts."""
    names = [column.name for column in table.columns if column.name in str(check.sqltext)]
    values = [_raw(connection, table.c[name]) for name in names]
    where = literal_column(f"NOT ({check.sqltext})", Boolean)  # a NULL refutes nothing
    for key, found in _rows(connection, table, values, where):
        shown = ", ".join(
            f"{name} {'NULL' if value is None else _shown(value)}"
            for name, value in zip(names, found, strict=True)
        )
        word = "columns" if len(names) > 1 else "column"
        yield key, f"{word} {', '.join(names)}", "values that no run has", shown, str(check.sqltext)


def _wrong_hashes(
    connection: Connection, table: Table, name: str, hashed: Sequence[str]
) -> Iterator[Fault]:
    """Rows whose hash is another than that of what it is of."""
    columns = [table.c[each] for each in (name, *hashed)]
    values = [_raw(connection, column) for column in columns]
    for key, found in _rows(connection, table, values, true()):
        written, *parts = (each.decode() if isinstance(each, bytes) else each for each in found)
        if digest("\0".join(parts)) != written:
            named = f"columns {', '.join([name, *hashed])}"
            yield key, named, "the hash is another's", _shown(written), digest("\0".join(parts))
