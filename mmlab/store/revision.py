"""The schema's revision: a database must have this program's, and is never changed in passing.

Alembic is not imported here: commands that only read need not wait for it.
"""

from __future__ import annotations

from sqlalchemy import Connection, column, inspect, select, table

from mmlab.errors import StoreError, explain
from mmlab.store.address import Address
from mmlab.store.engine import Database
from mmlab.tables import REVISION

VERSION_TABLE = "mmlab_alembic_version"


def revision_of(connection: Connection) -> str | None:
    """The revision of a connected database; None if it has no tables of mmlab."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return None if found is None else str(found)


def check_revision(database: Database) -> None:
    """Raise StoreError, naming the one command that helps, unless the revision is ours."""
    with database.read() as connection:
        found = revision_of(connection)
    if found != REVISION:
        raise StoreError(explain_revision(database.address, found))


def holds_nothing(database: Database) -> bool:
    """Whether a database has no tables at all, not even those of another program."""
    with database.read() as connection:
        return not inspect(connection).get_table_names()


def is_older(revision: str) -> bool:
    """Whether an upgrade leads from this revision to ours; revisions are numbers like 0001."""
    return revision.isdigit() and int(revision) < int(REVISION)


def explain_revision(address: Address, found: str | None) -> str:
    """Why a database of this revision cannot be used, and the command that helps."""
    if found is None:
        fault, step = (
            "the database holds no tables of mmlab",
            f"mmlab db init --db {address.display}",
        )
    elif is_older(found):
        fault = "the database is older than this program"
        step = f"mmlab db upgrade --db {address.display}"
    else:
        fault, step = "the database is newer than this program", "pip install --upgrade mmlab"
    return explain(
        address.display,
        fault,
        found=f"revision {found}" if found else "no revision",
        allowed=f"revision {REVISION}",
        next_step=step,
    )
