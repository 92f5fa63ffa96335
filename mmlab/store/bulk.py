"""Many rows at once, in the present transaction: executemany on SQLite, COPY on Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Connection,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    insert,
)

if TYPE_CHECKING:
    import psycopg

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
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
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
    numbers = cast(list[float | None], values.tolist())
    for index in np.flatnonzero(np.isnan(values)):
        numbers[index] = None
    return numbers
