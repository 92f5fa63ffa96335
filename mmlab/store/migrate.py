"""Migrations: the only way that a database's schema comes to be and changes.

A database must have this program's revision, and is never changed in passing. Every table's and
column's meaning is stored as rows: the analysts' manual. Alembic is imported where it is needed:
commands that only read need not wait for it.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, column, delete, insert, inspect, select, table, text

import mmlab
from alembic import command
from mmlab.errors import StoreError, explain
from mmlab.store import tables, views
from mmlab.store.address import ADDRESS, Address, check_file, create_file, parse_address
from mmlab.store.engine import BUSY_SECONDS, Database
from mmlab.store.tables import REVISION, column_docs

_LOCK_KEY = int.from_bytes(b"mmlab")


@dataclass(frozen=True)
class Upgrade:
    """What `upgrade` did: revisions before (None: empty) and after, and the copy made of a file."""

    before: str | None
    after: str
    backup: Path | None


def migrations_folder() -> Path:
    """Alembic's environment: packaged in a wheel, at the top of a checkout."""
    package = Path(mmlab.__file__).parent
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent / "alembic"


def alembic_config(database: Database | None = None) -> Config:
    """Alembic's settings; its environment then migrates `database`, or what MMLAB_DB names."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["database"] = database
    return config


def current(url: str) -> str | None:
    """The revision of a database; None if it has no tables of mmlab."""
    address = check_file(parse_address(url))
    with closing(Database(address)) as database, database.read() as connection:
        return revision_of(connection)


def upgrade(url: str) -> Upgrade:
    """Bring a database to this program's revision, all or nothing; a missing file is made.

    An existing SQLite file is copied first, beside itself. Several at once wait for each other.
    """
    with closing(_database_at(url)) as database:
        return upgrade_database(database)


def _database_at(url: str) -> Database:
    address = parse_address(url)
    if address.path is not None and not os.path.exists(address.path):
        create_file(address)
    return Database(check_file(address))


def upgrade_database(database: Database) -> Upgrade:
    """`upgrade` for a database that is already connected."""
    with database.read() as connection:
        before = revision_of(connection)
        others = _others(connection) if before is None else []
    if others:
        raise StoreError(_explain_others(database, others))
    if before is not None and before != REVISION and not is_older(before):
        raise StoreError(explain_revision(database.address, before))
    backup = _back_up(database) if before not in (None, REVISION) else None
    try:
        with database.translated():
            command.upgrade(alembic_config(database), "head")
    except CommandError as error:
        raise _no_way(database, before, error) from error
    return Upgrade(before, REVISION, backup)


def _others(connection: Connection) -> list[str]:
    """Tables and views that stand in the way: in a file any, on a server those called like ours."""
    inspector = inspect(connection)
    found = {*inspector.get_table_names(), *inspector.get_view_names()} - {VERSION_TABLE}
    if connection.dialect.name != "sqlite":
        found &= {*tables.metadata.tables, *views.metadata.tables}
    return sorted(found)


def _explain_others(database: Database, names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return explain(
        database.address.display,
        "the database holds tables of another program",
        found=", ".join(names[:5]) + more,
        allowed="a database of mmlab, an empty one, or a file yet to be made",
        next_step=f"name another database with {ADDRESS}",
    )


def _no_way(database: Database, before: str | None, error: CommandError) -> StoreError:
    return StoreError(
        explain(
            database.address.display,
            "no migration leads from the database's revision to this program's",
            found=f"revision {before or 'none'}: {error}",
            allowed=f"a revision that a release of mmlab made, up to {REVISION}",
            next_step=f"restore the database from a copy, or name another with {ADDRESS}",
        )
    )


def _back_up(database: Database) -> Path | None:
    path = database.address.path
    if path is None:
        return None
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    copy = path.with_name(f"{path.name}.{stamp}-{uuid.uuid4().hex[:6]}.backup")
    with database.untransacted() as connection:
        _driver(connection).execute("VACUUM INTO ?", (str(copy),))
    return copy


@contextmanager
def migrating(database: Database | None, url: str) -> Iterator[Connection]:
    """A connection for Alembic's environment: to `database`, else to `url`, whose file is made."""
    if database is None:
        with closing(_database_at(url)) as opened, migrating(opened, url) as connection:
            yield connection
        return
    with database.untransacted() as connection:
        if database.is_sqlite:
            use_write_ahead_log(connection)
            # Rebuilding a table would fire its references; `check_references` looks afterwards.
            _driver(connection).execute("PRAGMA foreign_keys = OFF")
        yield connection
        if database.is_sqlite:
            _driver(connection).execute("PRAGMA foreign_keys = ON")


def lock(connection: Connection) -> None:
    """Make others that migrate wait. SQLite's BEGIN IMMEDIATE has done it already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def check_references(connection: Connection) -> None:
    """Raise StoreError if a migration left a reference to nothing; it is undone then."""
    if connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
        raise StoreError(
            explain(
                str(connection.engine.url.database),
                "the migration would break references between tables",
                found=f"{len(broken)} broken references, the first in table {broken[0][0]}",
                allowed="none",
                next_step="keep the file as it is and report this as a defect of mmlab",
            )
        )


def use_write_ahead_log(connection: Connection) -> None:
    """Let readers go on while one process writes. StoreError where the file system cannot."""
    deadline = time.monotonic() + BUSY_SECONDS
    while (mode := _ask_for_write_ahead_log(_driver(connection))) != "wal":
        if mode != "locked" or time.monotonic() > deadline:
            raise StoreError(
                explain(
                    str(connection.engine.url.database),
                    "the file system does not allow a write-ahead log",
                    found=f"journal mode {mode}",
                    allowed="a file on a local disk",
                    next_step="put the database on a local disk, or use Postgres",
                )
            )
        time.sleep(0.05)


def _ask_for_write_ahead_log(driver: sqlite3.Connection) -> str:
    try:
        return str(driver.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    except sqlite3.OperationalError as error:
        # Changing the mode does not wait for other connections as other statements do.
        if "locked" not in str(error):
            raise
        return "locked"


def _driver(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection, for what must happen outside any transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def write_docs(connection: Connection) -> None:
    """Replace the rows of `column_docs` by the present comments of tables and views."""
    connection.execute(delete(column_docs))
    connection.execute(insert(column_docs), list(_rows()))


def _rows() -> Iterator[dict[str, str | None]]:
    for described in chain(tables.metadata.sorted_tables, views.metadata.sorted_tables):
        yield {"table_name": described.name, "column_name": "", "meaning": described.comment}
        for part in described.columns:
            yield {"table_name": described.name, "column_name": part.name, "meaning": part.comment}


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
        others = _others(connection) if found is None else []
    if others:
        raise StoreError(_explain_others(database, others))
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
