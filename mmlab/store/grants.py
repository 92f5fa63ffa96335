"""Rights on Postgres: what lets somebody read results who may not change them."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from mmlab.errors import UsageError, explain, unstorable
from mmlab.store import views
from mmlab.store.tables import column_docs

#: The longest name that a server keeps; it would cut a longer one.
_NAME_BYTES = 63


def grants(connection: Connection, role: str) -> str:
    """The SQL that lets a role read every view, and what their columns hold; all that reads needs.

    Nothing is executed. Raises UsageError where there are no roles, or for what is no name of one.
    """
    if connection.dialect.name != "postgresql":
        raise UsageError(_explain("a SQLite file has no roles", "a file", "a Postgres URL"))
    if not role or unstorable(role) is not None or len(role.encode()) > _NAME_BYTES:
        allowed = f"1 to {_NAME_BYTES} bytes of text"
        raise UsageError(_explain("this is no name of a role", ascii(role[:80]), allowed))
    names = select(func.current_database(), func.current_schema())
    database, schema = (_quoted(name) for name in connection.execute(names).one())
    relations = sorted([*views.metadata.tables, column_docs.name])
    listed = ",\n    ".join(f"{schema}.{_quoted(name)}" for name in relations)
    to = f"TO {_quoted(role)};"
    return (
        f"GRANT CONNECT ON DATABASE {database} {to}\n"
        f"GRANT USAGE ON SCHEMA {schema} {to}\n"
        f"GRANT SELECT ON\n    {listed}\n{to}\n"
    )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _explain(fault: str, found: str, allowed: str) -> str:
    step = "mmlab db grants ROLE --db postgresql://USER@HOST/DATABASE"
    return explain("mmlab db grants", fault, found=found, allowed=allowed, next_step=step)
