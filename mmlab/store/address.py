"""The address of a database: a SQLite file or a Postgres URL, shown without any part of a password.

A SQLite file is made only when asked for, and never mistaken for something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mmlab.errors import StoreError, explain, shows_password, unstorable, without_passwords
from mmlab.files import network_file_system

#: Where an address is given: an option, a variable, and an argument in Python or a setting.
ADDRESS = "--db, MMLAB_DB or db ="
ALLOWED = "a path to a SQLite file, sqlite:///PATH or postgresql://USER@HOST/DATABASE"
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
#: What may follow a URL's `?`, as libpq has it; of the last ones no value is shown.
_OPTIONS = """
    application_name channel_binding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval
    krbsrvname load_balance_hosts max_protocol_version min_protocol_version oauth_client_id
    oauth_issuer oauth_scope options passfile port replication require_auth requirepeer
    requiressl service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert
    sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode sslnegotiation
    sslrootcert sslsni target_session_attrs tcp_user_timeout user client_encoding
"""
_SECRET_OPTIONS = (
    *("oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"),
)
_KNOWN_OPTIONS = (*_OPTIONS.split(), *_SECRET_OPTIONS)
_QUERY = re.compile(r"\?(?=[A-Za-z]\w*=)")
#: A setting that a server does not know, of an extension or an application: `-c app.secret=...`.
_OWN_SETTING = re.compile(r"(?:-c\s*|--)\w+\.[\w.]+\s*=\s*(\S*)")
#: What parts host, port, user and password; `~/.pgpass` has four in a line, a file's name one.
_PARTED = re.compile("[:@]")
#: How URLs begin, and what libpq reads as `host=... user=...`.
_URL = re.compile(r"[A-Za-z][\w+.-]*:")
_CONNINFO = re.compile(rf"\s*(?:{'|'.join(_KNOWN_OPTIONS)}|server|uid|user id)\s*=", re.IGNORECASE)
#: Other kinds of databases; any other word in front of :// may be a part of a password.
_OTHERS = re.compile(
    r"(?:postgres\w*|mysql|mariadb|oracle|mssql|duckdb|mongodb|redis|jdbc:\w+|https?)(?:\+\w+)?"
)
_UTF8 = frozenset(["auto", "unicode", "utf8"])


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

    def beside(self, ending: str) -> str:
        """The display of a database of the same server whose name has an ending more."""
        url = make_url(self.display)
        return url.set(database=f"{url.database or 'mmlab'}{ending}").render_as_string()

    def redact(self, message: str) -> str:
        """The message with every secret of the address blotted out, however it is escaped."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return without_passwords(message)


def parse_address(text: str) -> Address:
    """The address that `--db` or MMLAB_DB gives; StoreError if it is none of the allowed forms.

    A password may be in the user part, which ends at the last `@`, or in `?password=`; no part of
    it is ever shown.
    """
    if unstorable(text) is not None:
        raise _refusal("database", "an address is text without NUL", "a NUL, or what is not UTF-8")
    scheme, slashes, rest = text.partition("://")
    kind = scheme.lower()
    if not slashes:
        return _sqlite(text)
    if text != text.strip() or not text.isprintable():
        raise _refusal("database", "a URL is one line", "space around it, or a control character")
    if kind in ("sqlite", "sqlite+pysqlite"):
        return _sqlite_url(text)
    if kind in _POSTGRES:
        return _postgres(rest)
    shown = kind if _OTHERS.fullmatch(kind) else "..."
    raise _refusal(f"{shown}://...", "no such kind of database", shown)


def _sqlite_url(text: str) -> Address:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _refusal("sqlite://...", "the URL cannot be read", "an invalid URL") from None
    if url.query or url.host or url.username or url.password:  # each may hold a password
        found = "options after ?" if url.query else "a host or user"
        raise _refusal("sqlite://...", "a SQLite URL has a path and no options", found)
    return _sqlite(url.database or "")


def _sqlite(path: str) -> Address:
    if path.strip() in ("", ":memory:"):
        raise _refusal("database", "results need a file to be kept in", repr(path))
    absolute = str(Path(os.path.expanduser(path)).absolute())
    if not os.path.exists(absolute) and _may_be_a_server(path, os.path.dirname(absolute)):
        if path.startswith("file:"):
            raise _refusal(
                "file:...", "a SQLite database is named by its path, not by a URI", "file:"
            )
        fault = "a server is named by a URL, and a file with : @ = or ? in its name as ./FILE"
        found = "no postgresql:// in front; the rest is not shown, it may hold a password"
        raise _refusal(
            "database", fault, found, f"correct {ADDRESS}; a file's folder is made first"
        )
    shown = absolute.replace("%", "%25").replace("?", "%3F")  # as it is read back
    return Address(URL.create("sqlite", database=absolute), f"sqlite:///{shown}", ())


def _may_be_a_server(path: str, folder: str) -> bool:
    """Whether what should be a new file was meant as a server's address, and may hold a password.

    A file in a folder that is there may have an @ in its name, and after `./` a colon too.
    """
    plain = _decoded(path)
    return (
        shows_password(path)
        or any(form.match(plain) for form in (_URL, _CONNINFO))
        or _QUERY.search(plain) is not None
        or len(_PARTED.findall(plain.partition("/")[0])) > 1
        or ("@" in plain and not os.path.isdir(folder))
    )


def _decoded(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _postgres(rest: str) -> Address:
    """The address behind `postgresql://`: `[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?OPTIONS]`."""
    begun = _QUERY.search(rest)
    head, query = (rest[: begun.start()], rest[begun.end() :]) if begun else (rest, "")
    who, at, server = head.rpartition("@")
    user, _, raw_password = who.partition(":")
    options = _options(query)
    try:
        url = make_url(f"postgresql+psycopg://{server}")
    except (ArgumentError, ValueError):
        # SQLAlchemy's words may quote a part of the URL that holds the password.
        raise _unreadable("an invalid URL") from None
    if unstorable(unquote(head)) is not None:
        raise _unreadable("a NUL")
    if "/" in user or "?" in f"{user}{server}" or _QUERY.search(_decoded(server)):
        raise _unreadable("a / or ? in an unusual place")
    secret = _secret_options(options)
    hidden = [value for key in secret for value in options.get(key, ())]
    hidden += [
        each[1] for value in options.get("options", ()) for each in _OWN_SETTING.finditer(value)
    ]
    password = unquote(raw_password) or next(iter(options.pop("password", ())), None)
    kept = {key: values[0] if len(values) == 1 else values for key, values in options.items()}
    url = url.set(username=unquote(user) if at else None, password=password, query=kept)
    shown = url.difference_update_query(secret)._replace(password=None)
    shown = shown.set(drivername="postgresql")
    if shows_password(shown.render_as_string()) or ":" in f"{url.username}{options.get('user')}":
        raise _unreadable("a password in an unusual place, or what looks like one")
    given = os.environ.get("PGPASSWORD", "")
    secrets = _spellings([unquote(raw_password), raw_password, *hidden, given])
    url = url.update_query_dict({"client_encoding": "utf8"})  # whatever PGCLIENTENCODING says
    return Address(url, shown.render_as_string(), secrets)


def _options(query: str) -> dict[str, tuple[str, ...]]:
    """The options of a URL. StoreError, which quotes none of them, for what is none of libpq's."""
    options: dict[str, tuple[str, ...]] = {}
    if unstorable(unquote(query)) is not None:
        raise _unreadable("a NUL")
    for part in filter(None, query.split("&")):
        pairs = parse_qsl(part, keep_blank_values=True) if "=" in part else [(part, "")]
        key, value = pairs[0]
        if key not in _KNOWN_OPTIONS or (key in options and key != "host"):
            raise _no_option(key, known=key in _KNOWN_OPTIONS)
        options[key] = (*options.get(key, ()), value)
    if any(value and not value.isdecimal() for value in options.get("port", ())):
        raise _unreadable("a port that is no number")
    for value in options.pop("client_encoding", ()):
        if value.lower().replace("-", "") not in _UTF8:
            fault = "mmlab writes and reads text as UTF-8"
            raise _refusal(_HIDDEN, fault, "another client_encoding", "remove client_encoding")
    return options


def _secret_options(options: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Options of which no value is shown: `options` too where it sets what may be a secret."""
    holds = any(_OWN_SETTING.search(value) for value in options.get("options", ()))
    return (*_SECRET_OPTIONS, "options") if holds else _SECRET_OPTIONS


def _no_option(key: str, *, known: bool) -> StoreError:
    """The option is not shown: it may be the rest of a password with ? or & in it."""
    likely = get_close_matches(key, sorted(_KNOWN_OPTIONS), n=1)
    hint = f' (did you mean "{likely[0]}"?)' if likely else ""
    return _refusal(
        _HIDDEN,
        "an option is given twice" if known else f"an option that no connection has{hint}",
        f"{key} twice" if known else "not shown, for it may belong to a password",
        "correct it; in a password write ? as %3F and & as %26",
    )


_HIDDEN = "postgresql://..."


def _unreadable(found: str) -> StoreError:
    step = "write / ? # @ and : of a password as %2F %3F %23 %40 %3A, or put it into PGPASSWORD"
    return _refusal(_HIDDEN, "the URL cannot be read", found, step)


def _spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Secrets as drivers and URLs may write them, longest first: one may be a part of another."""
    found = {
        spelled
        for secret in secrets
        for spelled in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
    }
    return tuple(sorted(filter(None, found), key=len, reverse=True))


def _refusal(place: str, fault: str, found: str, step: str = "") -> StoreError:
    step = step or f"correct {ADDRESS}"
    return StoreError(explain(place, fault, found=found, allowed=ALLOWED, next_step=step))


def check_file(address: Address) -> Address:
    """The address again; StoreError if it names a SQLite file that is not there or is none."""
    _require_local_disk(address)
    path = address.path
    if path is None or os.path.isfile(path):
        return address
    raise StoreError(
        explain(
            address.display,
            "there is no database",
            found=_what_is_at(path),
            allowed="an existing SQLite file, or a Postgres URL",
            next_step=f"name a file in it with {ADDRESS}, {path / 'mmlab.db'}, say"
            if os.path.isdir(path)
            else f"correct {ADDRESS}"
            if os.path.lexists(path)
            else f"correct {ADDRESS}, or make it: mmlab db init --db {address.display}",
        )
    )


#: Whoever sets this says that processes of one machine alone use the file.
NETWORK_DISK = "MMLAB_NETWORK_DISK"


def _require_local_disk(address: Address) -> None:
    """Raise StoreError for a SQLite file of a network file system.

    Its write-ahead log needs memory that all processes share, and locks that hold: "WAL does not
    work over a network filesystem" (sqlite.org/wal.html). Results would be lost without a word.
    """
    found = None if address.path is None else network_file_system(address.path)
    if found is None or os.environ.get(NETWORK_DISK):
        return
    raise StoreError(
        explain(
            address.display,
            "SQLite files get damaged on the disk of another machine",
            found=f"a network file system ({found})",
            allowed="a file on a local disk, or Postgres",
            next_step="move the file to a local disk, or use Postgres; where processes of one "
            f"machine alone use it, and locks hold, {NETWORK_DISK}=1 lets them",
        )
    )


def _what_is_at(path: Path) -> str:
    """What is found where a database should be."""
    if os.path.isdir(path):
        return "a folder"
    if os.path.exists(path):
        return "a pipe, a socket or a device"
    return "a link that leads nowhere" if os.path.islink(path) else "no such file"


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
    _require_local_disk(address)
    try:
        path.touch()
    except OSError as error:
        raise StoreError(
            explain(
                address.display,
                "the database file cannot be made",
                found=error.strerror or str(error),
                allowed="a path in an existing folder that this user may write",
                next_step=f"make the folder, or name another path with {ADDRESS}",
            )
        ) from error
