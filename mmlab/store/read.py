"""Query results as Polars frames, equal on SQLite and Postgres, dtypes included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import polars as pl
from sqlalchemy import (
    REAL,
    URL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    Join,
    LargeBinary,
    Select,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import visitors

from mmlab.errors import StoreError, explain
from mmlab.store.address import ALLOWED
from mmlab.store.bulk import from_json, is_json
from mmlab.store.engine import Database, is_refusal

UTC_TIME = pl.Datetime("us", "UTC")
Schema = Mapping[str, "pl.DataType | type[pl.DataType]"]

_DTYPES: Mapping[type, pl.DataType | type[pl.DataType]] = {
    BigInteger: pl.Int64,
    Integer: pl.Int64,
    SmallInteger: pl.Int16,
    REAL: pl.Float32,
    Double: pl.Float64,
    Boolean: pl.Boolean,
    Text: pl.String,
    LargeBinary: pl.Binary,
    DateTime: UTC_TIME,
}
# What SQLite's driver gives for the dtypes that it does not know.
_CARRIED = {pl.Boolean: pl.Int64, UTC_TIME: pl.String, pl.Float32: pl.Float64, pl.Int16: pl.Int64}

# A query of whatever columns.
AnySelect = Select[Any]


def schema_of(query: AnySelect) -> dict[str, pl.DataType | type[pl.DataType]]:
    """The dtypes of a query's columns, by their types in the store's tables and views."""
    return {column.name: _DTYPES[type(column.type)] for column in query.selected_columns}


def read_frame(
    database: Database, query: AnySelect | str, schema: Schema | None = None
) -> pl.DataFrame:
    """The rows of a query as a frame; a query that is a text needs a schema."""
    if schema is None:
        assert not isinstance(query, str), "a text does not know its dtypes"
        schema = schema_of(query)
    read = _read_sqlite if database.is_sqlite else _read_postgres
    frame = read(database, query, schema)
    if not isinstance(query, str):
        with database.translated():
            _check(query, frame)
    return frame


def _check(query: AnySelect, frame: pl.DataFrame) -> None:
    """Raise ValueError for NULL and for JSON that nobody stores."""
    may_lack = _may_lack(query)
    for selected in query.selected_columns:
        for column in selected.base_columns:
            if not isinstance(column, Column) or len(selected.base_columns) > 1:
                continue
            values = frame[selected.name]
            if not column.nullable and column.table not in may_lack and values.null_count():
                raise ValueError(f"NULL in {column}")
            for written in values.drop_nulls().unique() if is_json(column) else ():
                from_json(written, column)


def _may_lack(query: AnySelect) -> set[object]:
    """The tables of which a row may have none: those at the right of an outer join."""
    parts = (part for source in query.get_final_froms() for part in visitors.iterate(source))
    return {part.right for part in parts if isinstance(part, Join) and part.isouter}


def _read_sqlite(database: Database, query: AnySelect | str, schema: Schema) -> pl.DataFrame:
    statement = text(query) if isinstance(query, str) else query
    carried = {name: _CARRIED.get(dtype, dtype) for name, dtype in schema.items()}
    with database.read() as connection:
        # The driver's own rows: SQLAlchemy would make an object of each.
        rows = connection.execute(statement).cursor.fetchall()
        _check_kinds(rows, carried)
        frame = pl.DataFrame(rows, schema=carried, orient="row")
        return frame.with_columns(_cast(name, dtype) for name, dtype in schema.items())


def _check_kinds(rows: Sequence[tuple[object, ...]], schema: Schema) -> None:
    """Raise ValueError for a fraction among integers, or a text among bytes: Polars changes it."""
    kinds: dict[object, type] = {pl.Int64: int, pl.Binary: bytes}
    for place, (name, dtype) in enumerate(schema.items()):
        kind = kinds.get(dtype)
        if kind and not {*map(type, map(itemgetter(place), rows))} <= {kind, type(None)}:
            raise ValueError(f"values of several kinds in {name}")


def _cast(name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    if dtype == UTC_TIME:
        return pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC")
    return pl.col(name).cast(dtype)


def _read_postgres(database: Database, query: AnySelect | str, schema: Schema) -> pl.DataFrame:
    try:
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError as error:
        raise StoreError(_missing_driver(database, error)) from error
    statement, parameters = _numbered(query)
    try:
        opened = dbapi.connect(_libpq_uri(database.address.url))
    except dbapi.Error as error:
        raise StoreError(database.explain(error)) from error
    try:
        with opened as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            frame: pl.DataFrame = cursor.fetch_polars()
    except dbapi.Error as error:
        if isinstance(error, dbapi.ProgrammingError) and not is_refusal(error):
            raise
        if "for type json" in str(error):
            database.require_sound(error)
        raise StoreError(database.explain(error)) from error
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _libpq_uri(url: URL) -> str:
    """A URL as libpq reads it, for which neither a space nor a plus is a space."""
    plain = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    options = [
        f"{quote(key, safe='')}={quote(value, safe='')}"
        for key, values in url.normalized_query.items()
        for value in values
    ]
    return "?".join(filter(None, [plain.replace(" ", "%20"), "&".join(options)]))


def _numbered(query: AnySelect | str) -> tuple[str, list[object] | None]:
    """The statement with $1, $2, ... and the parameters in that order."""
    if isinstance(query, str):
        return query, None
    dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiled = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()] or None


def _missing_driver(database: Database, error: ModuleNotFoundError) -> str:
    return explain(
        database.address.display,
        "reading from Postgres needs the drivers of the extra 'postgres'",
        found=f"no module {error.name}",
        allowed=ALLOWED,
        next_step="pip install 'mmlab[postgres]'",
    )
