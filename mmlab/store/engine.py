"""Connections to a database: transactions done right, and faults in plain words.

A transaction whose connection was lost, in its COMMIT too, is looked up and done again (retry).
"""

from __future__ import annotations

import copy
import os
import random
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry

from mmlab.errors import MmlabError, StoreError, explain
from mmlab.store.address import ADDRESS, ALLOWED, Address

if TYPE_CHECKING:
    from mmlab.store.read_only import Source

BUSY_SECONDS = 30
#: A database that was there and is away is asked again for so long, unless the caller waits itself.
PATIENCE_SECONDS = 10.0
#: The first and the longest wait until it is asked again (backoff).
WAIT_SECONDS = (0.1, 2.0)
_POSTGRES_SETTINGS = {
    "TimeZone": "UTC",
    "synchronous_commit": "on",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
}
#: Seconds until a server counts as away that does not answer: at the door, and afterwards 45.
_WAITS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,  # milliseconds
}
#: What the driver raises in making a connection, of options that it does not take, say.
_NO_DEFECTS = (TypeError, ValueError, OverflowError)
_WRITE = {"sqlite_begin": "BEGIN IMMEDIATE"}

#: What a driver's words mean for the user: a part of the message -> the next step.
_NEXT_STEPS = {
    "permission denied": "ask the database's owner for the right; for reading: mmlab db grants",
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
    "unable to open": "make the file and its folder readable and writable for this user",
    "not a database": "name another file; this one is something else, or damaged",
    "malformed": "restore the file from a copy; it is damaged",
    "locked": "wait until the other process is done, then run the command again",
    "is full": "free some space, then run the command again",
    "No space": "free some space, then run the command again",
    "disk I/O": "free some space or mend the disk, then run the command again",
}


T = TypeVar("T")


class StoreAway(StoreError):
    """The connection was lost, or none is to be had now: what was asked may have been done."""


class DatabaseReplaced(StoreError):
    """The database was deleted meanwhile, or another one stands in its place."""


class Database:
    """An address and the pool of its connections, safe to use from several threads."""

    def __init__(self, address: Address) -> None:
        """Make the pool; nothing is connected yet. A file that cannot be written may be copied."""
        self.address = address
        self.patience_seconds = PATIENCE_SECONDS
        self._source = _read_only(address)
        if address.path is None:
            self.engine = _postgres_engine(address)
        else:
            self.engine = _sqlite_engine(address, self._source)
        self._writer = self.engine.execution_options(**_WRITE)
        self._file = _file_id(address)
        self._was_there = False

    @property
    def notice(self) -> str | None:
        """What whoever reads must know of how it is read; nearly always nothing."""
        return None if self._source is None else self._source.notice

    def require_writable(self) -> None:
        """Raise StoreError, as the first write would, for a file that this user cannot write."""
        if self._source is not None:
            error = sqlite3.OperationalError("attempt to write a readonly database")
            raise StoreError(self.explain(error))

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file; Postgres otherwise."""
        return self.engine.dialect.name == "sqlite"

    def with_patience(self, seconds: float) -> Self:
        """The same database and pool, asked again for so long where it is away."""
        other = copy.copy(self)
        other.patience_seconds = seconds
        return other

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: all its statements see the same state."""
        with self.translated():
            self._require_file()
            with self.engine.connect() as connection:
                self._was_there = True
                try:
                    yield connection
                finally:
                    self._require_unchanged()

    def query(self, work: Callable[[Connection], T]) -> T:
        """What the work reads, in one transaction; again where the connection was lost in it."""

        def attempt() -> T:
            with self.read() as connection:
                return work(connection)

        return self.endure(attempt)

    def transact(
        self,
        work: Callable[[Connection], T],
        look_up: Callable[[Connection, T], T | None] | None = None,
    ) -> T:
        """What the work gives, in one write transaction; again where the connection was lost in it.

        It may have been lost after the commit and before its answer. Work that would not give the
        same again has a `look_up`, which is asked first: from what the work gave then, it gives the
        answer if that was committed, and None if not.
        """
        given: list[T] = []

        def attempt() -> T:
            with self.write() as connection:
                found = look_up(connection, given[-1]) if look_up and given else None
                if found is None:
                    found = work(connection)
                    given.append(found)
            return found

        return self.endure(attempt)

    def endure(self, attempt: Callable[[], T]) -> T:
        """What an attempt gives; one that finds the database away is repeated, but not for ever.

        A database that has never been reached is not waited for.
        """
        until = time.monotonic() + self.patience_seconds
        for wait in backoff():
            try:
                return attempt()
            except StoreAway:
                if not self._was_there or time.monotonic() + wait > until:
                    raise
            time.sleep(wait)
        raise AssertionError("waits do not end")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction, committed at the end and undone if anything is raised."""
        with self.translated():
            self._require_file()
            with self._writer.begin() as connection:
                self._was_there = True
                yield connection
            self._require_file()

    @contextmanager
    def untransacted(self) -> Iterator[Connection]:
        """A connection on which nothing has begun; a transaction begun on it may write."""
        with self.translated(), self._writer.connect() as connection:
            yield connection

    def _require_file(self) -> None:
        """A file that was deleted can be written to for as long as it is open: all would be lost.

        Raises DatabaseReplaced.
        """
        self._require_unchanged()
        found = _file_id(self.address)
        if found != self._file:
            raise DatabaseReplaced(
                explain(
                    self.address.display,
                    "the database was deleted or replaced while it was used",
                    found="no such file" if found is None else "another file",
                    allowed="the file that was there when the command began",
                    next_step="put that file back, then: mmlab sync"
                    + ("" if found is None else "; or run the command again with this one"),
                )
            )

    def _require_unchanged(self) -> None:
        """Raise StoreError where a file has changed that is read as one that nobody writes."""
        if self._source is None or self._source.stamp is None:
            return
        from mmlab.store.read_only import explain_changed, stamp_of

        assert self.address.path is not None, "only a file is read so"
        if stamp_of(self.address.path) != self._source.stamp:
            raise StoreError(explain_changed(self.address))

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn faults of driver and server into StoreError; defects of ours stay as they are.

        What looks like one may come of a damaged database; then that is said, and where. A fault of
        another file does not.
        """
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (DBAPIError, driver.Error) as error:
            is_ours = is_defect(error)
            if is_ours or _may_come_of_damage(error):
                self.require_sound(error)
            if is_ours:
                raise
            kind = StoreAway if _is_away(error, driver) else StoreError
            if self._was_there and _is_gone(error):
                kind = DatabaseReplaced
            raise kind(self.explain(error)) from error
        except Exception as error:
            if not isinstance(error, MmlabError | OSError):
                self.require_sound(error)
            raise

    def require_sound(self, error: Exception) -> None:
        """Raise StoreError if the database holds what explains an error that nobody expected."""
        from mmlab.store.damage import find_damage

        try:
            with self.engine.connect() as connection:
                found = find_damage(connection, self.address)
        except DBAPIError as other:
            # Who may read the views alone cannot look through the tables.
            is_denied = _sqlstate(other) == _DENIED
            if is_denied or _is_away(other, self.engine.dialect.loaded_dbapi):
                return
            raise StoreError(self.explain(other)) from error
        if found is not None:
            raise found from error

    def explain(self, error: Exception) -> str:
        """What the driver said, without secrets, and what to do about it."""
        return explain_fault(self.address, error)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        if self._source is not None:
            self._source.close()


def explain_fault(address: Address, error: Exception) -> str:
    """What the driver said of a database, without secrets, and what to do about it."""
    original = _original(error)
    said = " ".join(address.redact(str(original)).split())
    steps = (step for part, step in _NEXT_STEPS.items() if part in str(original))
    step = next(steps, "correct {address}, or mend the database, then try again")
    return explain(
        address.display,
        "the database cannot be used",
        found=said or type(original).__name__,
        allowed="a database that can be reached, read and written",
        next_step=step.format(address=ADDRESS, display=address.display),
    )


def backoff() -> Iterator[float]:
    """How many seconds to wait before each further try: longer and longer, and none like others."""
    wait, longest = WAIT_SECONDS
    while True:
        yield wait * random.uniform(0.5, 1)
        wait = min(2 * wait, longest)


def _file_id(address: Address) -> tuple[int, int] | None:
    """Which file a database is; None for a server, and where there is none."""
    try:
        found = os.stat(address.path) if address.path else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino)


#: Of Postgres' codes: no right to do it, no such table.
_DENIED, _NO_TABLE = "42501", "42P01"


def is_defect(error: Exception) -> bool:
    """A broken statement or constraint is our mistake, but a missing right or table is not."""
    return isinstance(error, (IntegrityError, ProgrammingError)) and not is_refusal(error)


def is_refusal(error: Exception) -> bool:
    """Whether a server says that this user may not read it, or that it is not there."""
    return _sqlstate(error) in (_DENIED, _NO_TABLE)


def _may_come_of_damage(error: Exception) -> bool:
    """Whether a driver or a server says that it cannot read a value."""
    said = str(error)
    return any(part in said for part in ("decode", "malformed JSON", "for type json"))


def _is_gone(error: Exception) -> bool:
    """Whether the database or its tables are no more, if they were there before."""
    said = str(_original(error))
    is_dropped = "database" in said and "does not exist" in said
    return _sqlstate(error) == _NO_TABLE or "no such table" in said or is_dropped


#: What a server says at the door that it will say again.
_LASTING = ("password", "role ", "does not exist", "pg_hba", "permission", "certificate")
#: Connection faults, a server that starts or stops, and one that has too many clients.
_AWAY = ("08", "57P", "53300")


def _is_away(error: Exception, driver: Any) -> bool:  # Any: a module
    """Whether the same may go well in a moment: the connection was lost, or is not to be had."""
    original = _original(error)
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if getattr(error, "connection_invalidated", False):
        return True
    state = _sqlstate(error)
    if state is None:  # no answer of the server: of its library, which says it in words
        is_lasting = any(part in str(original) for part in _LASTING)
        return isinstance(original, driver.OperationalError) and not is_lasting
    return state.startswith(_AWAY)


def _original(error: Exception) -> BaseException:
    return getattr(error, "orig", None) or error


def _sqlstate(error: Exception) -> str | None:
    state: str | None = getattr(_original(error), "sqlstate", None)
    return state


def _read_only(address: Address) -> Source | None:
    """How a file is read that this user cannot write; None for others, and for a server."""
    path = address.path
    if path is None or all(os.access(each, os.W_OK, **_EFFECTIVE) for each in (path, path.parent)):
        return None
    from mmlab.store.read_only import find_source  # only where a file cannot be written

    return find_source(address)


#: Rights of whoever the process acts as, where the system tells them.
_EFFECTIVE = {"effective_ids": os.access in os.supports_effective_ids}


def _sqlite_engine(address: Address, source: Source | None) -> Engine:
    # mode=rw never creates a file: a wrong path must not look like an empty database.
    uri = source.uri if source else f"file:{quote(str(address.path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            if source is not None:
                connection.execute("PRAGMA query_only = ON")  # nothing is lost in a copy
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
    given = address.url.query
    arguments: dict[str, object] = {"application_name": "mmlab"}
    arguments |= {key: value for key, value in _WAITS.items() if key not in given}
    if "options" not in given:
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
        try:
            connection = dialect.connect(*positional, **options)
        except (*_NO_DEFECTS, dialect.loaded_dbapi.ProgrammingError) as error:
            raise StoreError(explain_fault(address, error)) from error
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
