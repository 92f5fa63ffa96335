"""The schema's revision: finding it, checking it, and the only way to change it."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, inspect, select, table, text

import mmlab
from alembic import command
from mmlab.errors import StoreError, explain
from mmlab.store.address import Address, parse_address
from mmlab.store.engine import BUSY_SECONDS, Database

VERSION_TABLE = "mmlab_alembic_version"
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


@cache
def head() -> str:
    """The revision this program works with."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None, "a checkout or wheel has migrations"
    return revision


def current(url: str) -> str | None:
    """The revision of a database; None if it has no tables of mmlab."""
    database = Database(check_file(parse_address(url)))
    with database.read() as connection:
        revision = revision_of(connection)
    database.close()
    return revision


def revision_of(connection: Connection) -> str | None:
    """The revision of a connected database; None if it has no tables of mmlab."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))


def check_revision(database: Database) -> None:
    """Raise StoreError, naming the one command that helps, unless the revision is ours."""
    with database.read() as connection:
        found = revision_of(connection)
    if found != head():
        raise StoreError(_wrong_revision(database.address, found))


def _wrong_revision(address: Address, found: str | None) -> str:
    if found is None:
        fault, step = (
            "the database holds no tables of mmlab",
            f"mmlab db init --db {address.display}",
        )
    elif _is_known(found):
        fault, step = (
            "the database is older than this program",
            f"mmlab db upgrade --db {address.display}",
        )
    else:
        fault, step = "the database is newer than this program", "pip install --upgrade mmlab"
    return explain(
        address.display,
        fault,
        found=f"revision {found}" if found else "no revision",
        allowed=f"revision {head()}",
        next_step=step,
    )


def _is_known(revision: str) -> bool:
    scripts = ScriptDirectory.from_config(alembic_config())
    return revision in {script.revision for script in scripts.walk_revisions()}


def upgrade(url: str) -> Upgrade:
    """Bring a database to this program's revision, all or nothing; a missing file is made.

    An existing SQLite file is copied first, beside itself. Several at once wait for each other.
    """
    address = parse_address(url)
    if address.path is not None and not address.path.exists():
        create_file(address)
    database = Database(check_file(address))
    try:
        return upgrade_database(database)
    finally:
        database.close()


def upgrade_database(database: Database) -> Upgrade:
    """`upgrade` for a database that is already connected."""
    with database.read() as connection:
        before = revision_of(connection)
    if before not in (None, head()) and not _is_known(str(before)):
        raise StoreError(_wrong_revision(database.address, before))
    backup = _back_up(database) if before not in (None, head()) else None
    with database.translated():
        command.upgrade(alembic_config(database), "head")
    return Upgrade(before, head(), backup)


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
        address = parse_address(url)
        if address.path is not None and not address.path.exists():
            create_file(address)
        database = Database(check_file(address))
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


def is_empty_file(address: Address) -> bool:
    """Whether a SQLite file is yet to be made, or was left empty when its making was cut short."""
    path = address.path
    return path is not None and (not path.exists() or (path.is_file() and not path.stat().st_size))


def create_file(address: Address) -> None:
    """Make the empty file of a SQLite database; StoreError if its folder does not take it."""
    path = address.path
    assert path is not None, "only SQLite has a file"
    try:
        path.touch()
    except OSError as error:
        raise StoreError(
            explain(
                address.display,
                "the database file cannot be made",
                found=error.strerror or str(error),
                allowed="a path in an existing folder that this user may write",
                next_step="make the folder, or name another path with --db or MMLAB_DB",
            )
        ) from error


def check_file(address: Address) -> Address:
    """The address again; StoreError if it names a SQLite file that is not there or is none."""
    path = address.path
    if path is None or path.is_file():
        return address
    found = "a folder" if path.is_dir() else "no such file"
    raise StoreError(
        explain(
            address.display,
            "there is no database",
            found=found,
            allowed="an existing SQLite file, or a Postgres URL",
            next_step=f"correct --db or MMLAB_DB, or make it: mmlab db init --db {address.display}",
        )
    )


def _driver(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection, for what must happen outside any transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
