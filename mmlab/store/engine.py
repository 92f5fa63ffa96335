"""Connections to a database: its address, transactions done right, and faults in plain words.

An address is a SQLite file or a Postgres URL, shown without its secrets. A SQLite file is made only
when asked for, and never mistaken for something else.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError

from mmlab.errors import StoreError, explain, unstorable

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
    "password": "correct the user and password in --db or MMLAB_DB",
    "role ": "correct the user and password in --db or MMLAB_DB",
    "refused": "start the server, or correct host and port in --db or MMLAB_DB",
    "lock timeout": "wait until the other process is done, then run the command again",
    "timeout": "check that the server runs and can be reached from here",
    "No such file": "start the server, or correct host and port in --db or MMLAB_DB",
    "could not translate": "correct the host in --db or MMLAB_DB",
    "resolve": "correct the host in --db or MMLAB_DB",
    "does not exist": "make the database with createdb, then run: mmlab db init",
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
        steps = (step for part, step in _NEXT_STEPS.items() if part in said)
        return explain(
            self.address.display,
            "the database cannot be used",
            found=said or type(original).__name__,
            allowed="a database that can be reached, read and written",
            next_step=next(steps, "correct --db or MMLAB_DB, or mend the database, then try again"),
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
        return create_engine(address.url, pool_pre_ping=True, connect_args=arguments)
    except ModuleNotFoundError as error:
        message = explain(
            address.display,
            "Postgres needs the drivers of the extra 'postgres'",
            found=f"no module {error.name}",
            allowed=ALLOWED,
            next_step="pip install 'mmlab[postgres]'",
        )
        raise StoreError(message) from error


ALLOWED = "a path to a SQLite file, sqlite:///PATH or postgresql://USER@HOST/DATABASE"
_SECRET_OPTIONS = ("password", "sslpassword")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True)
class Address:
    """A database's address. `display` holds no secret, and neither does the repr."""

    url: URL = field(repr=False)
    display: str
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for Postgres."""
        return Path(self.url.database or "") if self.url.drivername == "sqlite" else None

    def redact(self, message: str) -> str:
        """The message with every secret of the address blotted out."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse_address(text: str) -> Address:
    """The address that `--db` or MMLAB_DB gives; StoreError if it is none of the allowed forms.

    A password may be in the user part or in `?password=`; neither is ever shown.
    """
    if "://" not in text:
        return _sqlite(text)
    scheme = text.split("://", 1)[0]
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # SQLAlchemy's words may quote a part of the URL that holds the password.
        raise _refusal(f"{scheme}://...", "the URL cannot be read", "an invalid URL") from None
    if scheme in ("sqlite", "sqlite+pysqlite"):
        if url.query or url.host:
            raise _refusal(text, "a SQLite URL has a path and no options", text)
        return _sqlite(url.database or "")
    if scheme in _POSTGRES:
        return _postgres(url)
    raise _refusal(f"{scheme}://...", "no such kind of database", scheme)


def _sqlite(path: str) -> Address:
    if path in ("", ":memory:"):
        raise _refusal("database", "results need a file to be kept in", repr(path))
    if path.startswith("file:"):
        raise _refusal(path, "a SQLite database is named by its path, not by a URI", path)
    if unstorable(path) is not None:
        raise _refusal("database", "a path is text without NUL", ascii(path))
    absolute = str(Path(path).expanduser().absolute())
    return Address(URL.create("sqlite", database=absolute), f"sqlite:///{absolute}", ())


def _postgres(url: URL) -> Address:
    options = {key: value for key, value in url.query.items() if isinstance(value, str)}
    password = url.password or options.get("password")
    url = url.set(drivername="postgresql+psycopg", password=password)
    url = url.difference_update_query(["password"])
    secrets = [password or "", options.get("sslpassword", "")]
    shown = url.difference_update_query(_SECRET_OPTIONS)._replace(password=None)
    shown = shown.set(drivername="postgresql")
    # Longest first: one secret may be a part of another.
    known = tuple(sorted(filter(None, secrets), key=len, reverse=True))
    return Address(url, shown.render_as_string(), known)


def _refusal(place: str, fault: str, found: str) -> StoreError:
    return StoreError(
        explain(place, fault, found=found, allowed=ALLOWED, next_step="correct --db or MMLAB_DB")
    )


def check_file(address: Address) -> Address:
    """The address again; StoreError if it names a SQLite file that is not there or is none."""
    path = address.path
    if path is None or os.path.isfile(path):
        return address
    raise StoreError(
        explain(
            address.display,
            "there is no database",
            found="a folder" if os.path.isdir(path) else "no such file",
            allowed="an existing SQLite file, or a Postgres URL",
            next_step=f"correct --db or MMLAB_DB, or make it: mmlab db init --db {address.display}",
        )
    )


def is_yet_to_be_made(address: Address) -> bool:
    """Whether a SQLite file is missing, or was left empty when its making was cut short."""
    path = address.path
    if path is None:
        return False
    # Unlike pathlib's, these say no where a name is too long, and making the file says why.
    return not os.path.exists(path) or (os.path.isfile(path) and not path.stat().st_size)


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
