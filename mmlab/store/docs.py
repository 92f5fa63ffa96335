"""The analysts' manual inside the database: every table's and column's meaning, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from sqlalchemy import Connection, delete, insert

from mmlab import tables, views
from mmlab.tables import column_docs


def write_docs(connection: Connection) -> None:
    """Replace the rows of `column_docs` by the present comments of tables and views."""
    connection.execute(delete(column_docs))
    connection.execute(insert(column_docs), list(_rows()))


def _rows() -> Iterator[dict[str, str | None]]:
    for table in chain(tables.metadata.sorted_tables, views.metadata.sorted_tables):
        yield {"table_name": table.name, "column_name": "", "meaning": table.comment}
        for column in table.columns:
            yield {"table_name": table.name, "column_name": column.name, "meaning": column.comment}
