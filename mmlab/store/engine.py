"""Connections to a database: transactions done right, and faults in plain words."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry

from mmlab.errors import StoreError, explain
from mmlab.store.address import ADDRESS, ALLOWED, Address

BUSY_SECONDS = 30
_POSTGRES_SETTINGS = {
    "TimeZone": "UTC",
    "synchronous_commit": "on",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
}
_WRITE = {"sqlite_begin": "BEGIN IMMEDIATE"}

#: What a driver's words mean for the user: a part of the message -> the next step.
_NEXT_STEPS = {
    "password": "correct the user and password in {address} (in a URL write % as %25)",
    "role ": "correct the user and password in {address} (in a URL write % as %25)",
    "refused": "start the server, or correct host and port in {address}",
    "lock timeout": "wait until the other process is done, then run the command again",
    "timeout": "check that the server runs and can be reached from here",
    "No such file": "start the server, or correct host and port in {address}",
    "could not translate": "correct the host in {address}",
    "resolve": "correct the host in {address}",
    "does not exist": "make the database with createdb, then run: mmlab db init --db {display}",
    "readonly": "make the file and its folder writable for this user",
    "read-only": "use a user or server that may write",
    "permission denied": "ask the database's owner for the right",
    "unable to open": "make the file and its folder readable and writable for this user",
    "not a database": "name another file; this one is something else, or damaged",
    "malformed": "restore the file from a copy; it is damaged",
    "locked": "wait until the other process is done, then run the command again",
    "is full": "free some space, then run the command again",
    "No space": "free some space, then run the command again",
    "disk I/O": "free some space or mend the disk, then run the command again",
}


class Database:
    """An address and the pool of its connections, safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        """Make the pool; nothing is connected yet."""
        self.address = address
        self.engine = _postgres_engine(address) if address.path is None else _sqlite_engine(address)
        self._writer = self.engine.execution_options(**_WRITE)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file; Postgres otherwise."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: all its statements see the same state."""
        with self.translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction, committed at the end and undone if anything is raised."""
        with self.translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def untransacted(self) -> Iterator[Connection]:
        """A connection on which nothing has begun; a transaction begun on it may write."""
        with self.translated(), self._writer.connect() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn faults of driver and server into StoreError; defects of ours stay as they are."""
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (DBAPIError, driver.Error) as error:
            if _is_defect(error):
                raise
            raise StoreError(self.explain(error)) from error

    def explain(self, error: Exception) -> str:
        """What the driver said, without secrets, and what to do about it."""
        original = getattr(error, "orig", None) or error
        said = " ".join(self.address.redact(str(original)).split())
        steps = (step for part, step in _NEXT_STEPS.items() if part in str(original))
        step = next(steps, "correct {address}, or mend the database, then try again")
        return explain(
            self.address.display,
            "the database cannot be used",
            found=said or type(original).__name__,
            allowed="a database that can be reached, read and written",
            next_step=step.format(address=ADDRESS, display=self.address.display),
        )

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _is_defect(error: Exception) -> bool:
    """A broken statement or constraint is our mistake, but a missing right is not."""
    is_denied = getattr(getattr(error, "orig", error), "sqlstate", None) == "42501"
    return isinstance(error, (IntegrityError, ProgrammingError)) and not is_denied


def _sqlite_engine(address: Address) -> Engine:
    # mode=rw never creates a file: a wrong path must not look like an empty database.
    uri = f"file:{quote(str(address.path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(address.url, creator=connect)

    # The driver's own notion of transactions is off (isolation_level=None): every one begins here.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _postgres_engine(address: Address) -> Engine:
    arguments: dict[str, object] = {"application_name": "mmlab", "keepalives_idle": 30}
    if "connect_timeout" not in address.url.query:
        arguments["connect_timeout"] = 10
    if "options" not in address.url.query:
        arguments["options"] = " ".join(f"-c {k}={v}" for k, v in _POSTGRES_SETTINGS.items())
    try:
        engine = create_engine(address.url, pool_pre_ping=True, connect_args=arguments)
    except ModuleNotFoundError as error:
        message = explain(
            address.display,
            "Postgres needs the drivers of the extra 'postgres'",
            found=f"no module {error.name}",
            allowed=ALLOWED,
            next_step="pip install 'mmlab[postgres]'",
        )
        raise StoreError(message) from error

    # Before SQLAlchemy asks the server anything, whose answers it could not read either.
    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect,
        record: ConnectionPoolEntry,
        positional: Sequence[str],
        options: Mapping[str, Any],  # Any: a driver's arguments
    ) -> DBAPIConnection:
        connection = dialect.connect(*positional, **options)
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise StoreError(_other_encoding(address, encoding))
        return connection

    return engine


def _other_encoding(address: Address, encoding: str) -> str:
    name = shlex.quote(address.url.database or "mmlab")
    return explain(
        address.display,
        "the database's encoding cannot hold all of Unicode",
        found=f"encoding {encoding}",
        allowed="encoding UTF8",
        next_step=f"make another: createdb --encoding=UTF8 --template=template0 {name}_utf8, "
        f"then: mmlab db init --db {address.beside('_utf8')}",
    )
