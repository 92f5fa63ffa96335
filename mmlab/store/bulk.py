"""Many rows at once, in the present transaction: executemany on SQLite, COPY on Postgres.

Also the few statements that the two word differently, and texts as both of them can store them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from typing import cast as typed

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Row,
    SmallInteger,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from mmlab.errors import DataError, check_text, explain, unstorable

if TYPE_CHECKING:
    import psycopg


#: Stable ids are part of a unique index, and Postgres' hold no more than 2,704 bytes.
INDEXED_BYTES = 2000


def digest(text: str) -> str:
    """The sha256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(value: object) -> str:
    """JSON with sorted keys. Numbers that JSON lacks become the texts "nan", "inf" and "-inf"."""
    return json.dumps(_finite(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


#: Columns of JSON that hold no table.
_LISTS = ("suite", "templates", "waits_for")
_ANY = ("content",)


def is_json(column: ColumnElement[Any]) -> bool:
    """Whether a column of a table or view holds JSON, as its comment says."""
    return isinstance(column, Column) and (column.comment or "").startswith("JSON:")


# JSON: values of whatever type.
def from_json(written: str, column: Column[Any]) -> Any:
    """What a JSON text of a column says. ValueError where it is none that mmlab wrote there.

    Wherever that is raised from a transaction, it becomes a StoreError that names the row.
    """
    try:
        value = json.loads(written)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    kind, word = (list, "a list") if column.name in _LISTS else (dict, "a table")
    if column.name not in _ANY and not isinstance(value, kind):
        raise ValueError(f"JSON of another kind than {word}")
    if kind is list and not all(isinstance(item, str) for item in value):
        raise ValueError("a list of other things than texts")
    return value


def sound(row: Row[Any], table: Table, prefix: str = "") -> Row[Any]:
    """A row with all columns of a table. ValueError where a value is of another type, or is NULL.

    Only a damaged file holds such; what reads on would take one thing for another.
    """
    for column in table.columns:
        value = row._mapping[f"{prefix}{column.name}"]
        if not (column.nullable if value is None else isinstance(value, column.type.python_type)):
            raise ValueError(f"{table.name}.{column.name}: {type(value).__name__}")
    return row


def all_texts(*values: object) -> None:
    """Raise ValueError for what is no text, where `sound` cannot know: in a joined table's rows."""
    if not all(isinstance(value, str) for value in values):
        raise ValueError("no text")


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def check_texts(place: str, texts: Iterable[str], *, is_indexed: bool = False) -> None:
    """Raise DataError at the first written that not every database can hold exactly."""
    for number, written in enumerate(texts):
        if unstorable(written) is not None:
            check_text(f"{place} {number}", written)
        if is_indexed and len(written.encode()) > INDEXED_BYTES:
            raise DataError(
                explain(
                    f"{place} {number}",
                    "the written is too long",
                    found=ascii(written[:80]),
                    allowed=f"at most {INDEXED_BYTES:,} bytes",
                    next_step="correct it in the dataset; nothing was written",
                )
            )


_COPY_TYPES = {
    BigInteger: "int8",
    Integer: "int4",
    SmallInteger: "int2",
    REAL: "float4",
    Double: "float8",
    Boolean: "bool",
    Text: "text",
    LargeBinary: "bytea",
}


def insert_columns(
    connection: Connection, table: Table, columns: Mapping[str, Iterable[object]]
) -> None:
    """Insert rows given as equally long columns."""
    rows = zip(*columns.values(), strict=True)
    if connection.dialect.name == "sqlite":
        _execute_many(connection, table, list(columns), rows)
    else:
        _copy(connection, table, list(columns), rows)


def _execute_many(
    connection: Connection, table: Table, names: list[str], rows: Iterable[tuple[object, ...]]
) -> None:
    statement = insert(table).compile(dialect=connection.dialect, column_keys=names)
    cursor = connection.connection.cursor()
    cursor.executemany(str(statement), rows)  # type: ignore[arg-type]  # sqlite3 takes any iterable
    cursor.close()


def _copy(
    connection: Connection, table: Table, names: list[str], rows: Iterable[tuple[object, ...]]
) -> None:
    driver = typed("psycopg.Connection", connection.connection.driver_connection)
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(table.name)} ({', '.join(map(quote, names))})"
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)".encode()) as copy,
    ):
        copy.set_types([_COPY_TYPES[type(table.c[name].type)] for name in names])
        for row in rows:
            copy.write_row(row)


def nullable(values: npt.NDArray[np.floating]) -> list[float | None]:
    """Numbers as a column: None for NaN, which SQLite would turn into NULL by itself."""
    numbers = typed(list[float | None], values.tolist())
    for index in np.flatnonzero(np.isnan(values)):
        numbers[index] = None
    return numbers


#: Held while new labels or samples are added, so that two processes never add them in two orders.
_CATALOGUE_LOCK = int.from_bytes(b"catalog")
#: Held while many rows of the queue change, so that two processes never lock them in two orders.
_QUEUE_LOCK = int.from_bytes(b"queue")

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


def has_expired(connection: Connection, table: Table, seconds: float) -> ColumnElement[bool]:
    """Whether a lease of this many seconds in a row of `table` has run out: it may be taken over.

    While a server was away nobody could renew: after its start owners get one lease's time.
    """
    expired = and_(table.c.status == "running", table.c.lease_until < db_now(connection))
    if connection.dialect.name != "postgresql":
        return expired
    up_since = text("pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :s)")
    return and_(expired, up_since.bindparams(s=seconds))


def listed(
    connection: Connection, values: Collection[int | str], kind: TypeEngine[Any]
) -> ColumnElement[Any]:
    """Values as a column to select from. There may be ten thousand, more than parameters may be."""
    if connection.dialect.name == "postgresql":
        return func.unnest(_array(values, kind)).column_valued()
    rows = func.json_each(json.dumps(list(values))).table_valued(Column("value", kind))
    return rows.c.value


def any_of(
    connection: Connection, column: ColumnElement[Any], values: Collection[int | str]
) -> ColumnElement[bool]:
    """Whether a column has one of these values, of which there may be ten thousand."""
    if connection.dialect.name == "postgresql":
        return column == any_(_array(values, column.type))
    return column.in_(select(listed(connection, values, column.type)))


def among(column: ColumnElement[Any], values: Collection[int | str]) -> ColumnElement[bool]:
    """Whether a column has one of these values, in a statement of whichever database.

    They are one parameter: Postgres takes no more than 65,535 of them, and SQLite fewer.
    """
    has_numbers = isinstance(column.type, Integer) or isinstance(next(iter(values), ""), int)
    kind = _Numbers if has_numbers else _Texts
    is_in = column.op("IN", is_comparison=True, return_type=Boolean())
    return is_in(kind(bindparam(None, json.dumps(list(values)), type_=Text())))


class _Texts(FunctionElement[str]):
    """The texts of a JSON list, as rows in brackets."""

    inherit_cache = True
    kind = "text"


class _Numbers(_Texts):
    """The integers of a JSON list."""

    inherit_cache = True
    kind = "bigint"


@compiles(_Texts)
def _rows_of_sqlite(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"


@compiles(_Texts, "postgresql")
def _rows_of_postgres(element: _Texts, compiler: SQLCompiler, **options: Any) -> str:
    listed = f"CAST({compiler.process(element.clauses, **options)} AS json)"
    return f"(SELECT CAST(json_array_elements_text({listed}) AS {element.kind}))"


def _array(values: Collection[int | str], kind: TypeEngine[Any]) -> ColumnElement[Any]:
    if not isinstance(kind, Integer):
        return bindparam(None, list(values), type_=ARRAY(kind))
    # As a text, for the driver takes longer to write each of them than the server to read it.
    written = bindparam(None, f"{{{','.join(map(str, values))}}}", type_=Text())
    return cast(written, ARRAY(kind))


def lock_catalogue(connection: Connection) -> None:
    """Wait for others that add labels or samples."""
    _lock(connection, _CATALOGUE_LOCK)


def lock_queue(connection: Connection) -> None:
    """Wait for others that change many rows of the queue. Before any row of it is locked."""
    _lock(connection, _QUEUE_LOCK)


def _lock(connection: Connection, key: int) -> None:
    # A write on SQLite has waited already.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
