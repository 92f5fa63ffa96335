"""Where a database is: a SQLite file or a Postgres URL, and how to name it without its secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mmlab.errors import StoreError, explain

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
    if "\0" in path or not _is_unicode(path):
        raise _refusal("database", "a path is text without NUL", ascii(path))
    absolute = str(Path(path).expanduser().absolute())
    return Address(URL.create("sqlite", database=absolute), f"sqlite:///{absolute}", ())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # stands for bytes of the command line that are not UTF-8
        return False
    return True


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
