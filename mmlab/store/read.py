"""Query results as Polars frames, equal on SQLite and Postgres, dtypes included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Select,
    SmallInteger,
    Text,
    text,
)

from mmlab.store.engine import Database

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
    """The dtypes of a query's columns, by their types in `mmlab.tables` and `mmlab.views`."""
    return {column.name: _DTYPES[type(column.type)] for column in query.selected_columns}


def read_frame(
    database: Database, query: AnySelect | str, schema: Schema | None = None
) -> pl.DataFrame:
    """The rows of a query as a frame; a query that is a text needs a schema."""
    if schema is None:
        assert not isinstance(query, str), "a text does not know its dtypes"
        schema = schema_of(query)
    if database.is_sqlite:
        return _read_sqlite(database, query, schema)
    return _read_postgres(database, query, schema)


def _read_sqlite(database: Database, query: AnySelect | str, schema: Schema) -> pl.DataFrame:
    statement = text(query) if isinstance(query, str) else query
    with database.read() as connection:
        # The driver's own rows: SQLAlchemy would make an object of each.
        rows = connection.execute(statement).cursor.fetchall()
    carried = {name: _CARRIED.get(dtype, dtype) for name, dtype in schema.items()}
    frame = pl.DataFrame(rows, schema=carried, orient="row")
    return frame.with_columns(_cast(name, dtype) for name, dtype in schema.items())


def _cast(name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    if dtype == UTC_TIME:
        return pl.col(name).str.to_datetime(time_unit="us", time_zone="UTC")
    return pl.col(name).cast(dtype)


def _read_postgres(database: Database, query: AnySelect | str, schema: Schema) -> pl.DataFrame:
    raise NotImplementedError
