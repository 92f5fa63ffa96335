"""Migrations: the only way that a database's schema comes to be and changes.

A database must have this program's revision, and is never changed in passing. Every table's and
column's meaning is stored as rows: the analysts' manual. Alembic is imported where it is needed:
commands that only read need not wait for it.
"""

from __future__ import annotations

import glob
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, delete, func, insert, inspect, select, table, text

import mmlab
from mmlab.errors import StoreError, explain
from mmlab.files import atomic_file
from mmlab.store import tables, views
from mmlab.store.address import ADDRESS, Address, check_file, create_file, parse_address
from mmlab.store.engine import BUSY_SECONDS, Database
from mmlab.store.tables import REVISION, column_docs

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_KEY = int.from_bytes(b"mmlab")
#: How long to wait for others that migrate or write, and what Postgres calls it: a lock that was
#: not had in time, and a deadlock, of which the server undoes one side.
_PATIENCE_SECONDS = 600
_IN_THE_WAY = ("55P03", "40P01")


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
    from alembic.config import Config

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


def upgrade(url: str, *, is_new: bool | None = None, beside_others: bool = False) -> Upgrade:
    """Bring a database to this program's revision, all or nothing; a missing file is made.

    An existing SQLite file is copied first, beside itself. Several at once wait for each other:
    one migrates. With `is_new` false, what has no tables of mmlab is refused, and with true what
    has those of another revision. With `beside_others` another program's file is given mmlab's
    tables, too.
    """
    address = parse_address(url)
    if is_new is False:
        check_file(address)
    with closing(_database_at(address)) as database:
        return upgrade_database(database, is_new=is_new, beside_others=beside_others)


def _database_at(address: Address) -> Database:
    if address.path is not None and not os.path.exists(address.path):
        create_file(address)
    return Database(check_file(address))


def upgrade_database(
    database: Database, *, is_new: bool | None = None, beside_others: bool = False
) -> Upgrade:
    """`upgrade` for a database that is already connected.

    Where the connection is lost, in COMMIT too, it is looked up whether all was done or nothing.
    """
    done = list[Upgrade]()

    def begin(connection: Connection) -> None:
        """With the lock, when nobody else can change what is found."""
        before = revision_of(connection)
        others = _require_a_way(database, connection, before, is_new, beside_others)
        backup = _back_up(database) if others or before not in (None, REVISION) else None
        done[:] = [Upgrade(before, REVISION, backup)]

    def attempt() -> Upgrade:
        with database.read() as connection:  # what is refused takes no lock, and changes no file
            found = revision_of(connection)
            _require_a_way(database, connection, found, is_new, beside_others)
        if not done or found != REVISION:
            with database.translated():
                _migrate(database, begin)
        return done[0]

    return database.endure(attempt)


def _migrate(database: Database, begin: Callable[[Connection], None]) -> None:
    """Run the migrations that are missing, as soon as nobody else is in the way."""
    from alembic import command

    config = alembic_config(database)
    config.attributes["begin"] = begin
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return command.upgrade(config, "head")
        except StoreError as error:
            if not _is_in_the_way(error.__cause__):
                raise
            if time.monotonic() > deadline:  # and waits no longer, whatever is said of it
                raise StoreError(str(error)) from error


def _is_in_the_way(cause: BaseException | None) -> bool:
    """Whether it failed, and was undone, for another process's lock alone."""
    told = getattr(cause, "orig", cause)
    if isinstance(told, sqlite3.Error):
        return "locked" in str(told)
    return getattr(told, "sqlstate", None) in _IN_THE_WAY


def _require_a_way(
    database: Database,
    connection: Connection,
    before: str | None,
    is_new: bool | None,
    beside_others: bool,
) -> list[str]:
    """The other tables that mmlab's will stand beside; nearly always none.

    Raises StoreError unless migrations lead from what a database is to this program's.
    """
    others = _others(connection) if before is None else []
    in_the_way = _OURS.intersection(others)
    if in_the_way or (others and not beside_others):
        raise StoreError(_explain_others(database, sorted(in_the_way) or others))
    if before == REVISION or (before is None and is_new is not False):
        return others
    if before is None or is_new or not is_older(before):
        raise StoreError(explain_revision(database.address, before))
    if before not in _known_revisions():
        raise StoreError(_explain_no_way(database, before))
    return others


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def _others(connection: Connection) -> list[str]:
    """Tables and views that stand in the way: in a file any, on a server those called like ours.

    Of a file without tables the numbers by which another program knows it as its own.
    """
    inspector = inspect(connection)
    found = {*inspector.get_table_names(), *inspector.get_view_names()} - {VERSION_TABLE}
    if connection.dialect.name != "sqlite":
        found &= _OURS
    return sorted(found) or _marks(connection)


def _marks(connection: Connection) -> list[str]:
    """What a SQLite file says of whose it is (sqlite.org/fileformat.html); mmlab's says nothing."""
    if connection.dialect.name != "sqlite":
        return []
    marks = ("application_id", "user_version")
    values = {each: connection.exec_driver_sql(f"PRAGMA {each}").scalar() for each in marks}
    return [f"{each} = {value}" for each, value in values.items() if value]


_OURS = {*tables.metadata.tables, *views.metadata.tables}


def _explain_others(database: Database, names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    beside = "" if _OURS.intersection(names) else ", or add mmlab's tables: mmlab db init --force"
    return explain(
        database.address.display,
        "the database holds tables of another program, or its mark",
        found=", ".join(names[:5]) + more,
        allowed="a database of mmlab, an empty one, or a file yet to be made",
        next_step=f"name another database with {ADDRESS}{beside}",
    )


def _explain_no_way(database: Database, before: str) -> str:
    return explain(
        database.address.display,
        "no migration leads from the database's revision to this program's",
        found=f"revision {before}",
        allowed=f"a revision that a release of mmlab made, up to {REVISION}",
        next_step=f"restore the database from a copy, or name another with {ADDRESS}",
    )


def _back_up(database: Database) -> Path | None:
    """Copy a file whose writers wait; the copy is whole, on the disk, and as private as the file.

    Clears what is left of copies that were cut short: nobody else can be making one.
    """
    path = database.address.path
    if path is None:
        return None
    path = Path(os.path.realpath(path))  # beside the file itself, not beside a link to it
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.backup.*.partial*"):
        leftover.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    copy = path.with_name(f"{path.name}.{stamp}-{uuid.uuid4().hex[:6]}.backup")
    with (
        atomic_file(copy, lambda e: StoreError(_explain_no_copy(copy, e.strerror))) as partial,
        database.untransacted() as connection,
    ):
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL, path.stat().st_mode & 0o666))
        try:
            _driver(connection).execute("VACUUM INTO ?", (str(partial),))
        except sqlite3.OperationalError as error:  # and not DatabaseError: a damaged file
            raise StoreError(_explain_no_copy(copy, str(error))) from error
    return copy


def _explain_no_copy(copy: Path, found: str | None) -> str:
    return explain(
        str(copy),
        "the database is upgraded only after it is copied, and the copy cannot be written",
        found=found,
        allowed="a folder that this user may write, with space for the file once more",
        next_step="free some space or mend the folder, then run the command again",
    )


@contextmanager
def migrating(database: Database | None, url: str) -> Iterator[Connection]:
    """A connection for Alembic's environment: to `database`, else to `url`, whose file is made."""
    if database is None:
        address = parse_address(url)
        with closing(_database_at(address)) as opened, migrating(opened, url) as connection:
            yield connection
        return
    with database.untransacted() as connection:
        if database.is_sqlite:
            use_write_ahead_log(connection)
            # Rebuilding a table would fire its references; `check_references` looks afterwards.
            _driver(connection).execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            if database.is_sqlite:
                _driver(connection).execute("PRAGMA foreign_keys = ON")


def lock(connection: Connection) -> None:
    """Make others that migrate wait. SQLite's BEGIN IMMEDIATE has done it already."""
    if connection.dialect.name == "postgresql":
        # Stricter levels see what was there before the wait, whatever the server's default is.
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
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
    if (mode := _ask_for_write_ahead_log(_driver(connection))) != "wal":
        raise StoreError(
            explain(
                str(connection.engine.url.database),
                "the file system does not allow a write-ahead log",
                found=f"journal mode {mode}",
                allowed="a file on a local disk",
                next_step="put the database on a local disk, or use Postgres",
            )
        )


def _ask_for_write_ahead_log(driver: sqlite3.Connection) -> str:
    """The journal mode that a file has then. Waits for other processes as other statements do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return str(driver.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # Changing the mode does not wait by itself.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


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
    if _may_read(connection, VERSION_TABLE):
        found = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    else:
        found = connection.scalar(select(views.schema_revision.c.revision))
    return None if found is None else str(found)


def _may_read(connection: Connection, name: str) -> bool:
    """Whether this user may read a table, or has no view of it either; a file has no rights."""
    if connection.dialect.name != "postgresql":
        return True
    view = views.schema_revision.name
    may = select(func.has_table_privilege(name, "SELECT"))
    return bool(connection.scalar(may)) or not inspect(connection).has_table(view)


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
