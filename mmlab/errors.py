"""The errors a user can meet; the command line prints them without a traceback.

MmlabError
 +-- SpecError        the spec is invalid                              exit 3
 +-- PluginError      a plugin is missing, broken or breaks a contract  exit 4
 +-- StoreError       the database is unreachable or of another revision exit 5
 +-- DataError        a dataset or one of its samples cannot be used    exit 1
 +-- WeightsError     weights are missing or do not fit the model       exit 1
 +-- RunError         an execution failed (a non-finite loss, say)      exit 1
 +-- GroupError       processes that train together have come apart      exit 1
 +-- UsageError       a command was asked for something that is not there exit 2

A message says, in this order: the place, what is wrong, what was found, what is allowed, and
what to do next. `explain` puts the five parts together so that none is forgotten.

Beside them stand the guards of text: what others raised in words, what a database can hold and how
much of it, and what a terminal may be shown.
"""

from __future__ import annotations

import re
import traceback
import unicodedata
from urllib.parse import unquote


class MmlabError(Exception):
    """Base of every error mmlab raises on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class SpecError(MmlabError):
    """A spec, an override or an option in it is invalid; nothing was run."""

    exit_code = 3


class PluginError(MmlabError):
    """A component is unknown, its plugin failed to load, or it breaks its contract."""

    exit_code = 4


class StoreError(MmlabError):
    """The database cannot be reached or its schema is not this program's."""

    exit_code = 5


class DataError(MmlabError):
    """A dataset, a file in it or a sample cannot be used."""


class WeightsError(MmlabError):
    """Weights are missing, unreadable or do not fit the model they are meant for."""


class RunError(MmlabError):
    """An execution failed for a reason that is not a defect of the program.

    `reason` is the short word stored with the attempt: "nan", "oom", "disk_full", "stopped",
    "device", "error".
    """

    def __init__(self, message: str, reason: str = "error") -> None:
        super().__init__(message)
        self.reason = reason


class StoppedError(MmlabError):
    """A signal of a scheduler has stopped the command: what is left can be gone on with."""

    exit_code = 75


class GroupError(MmlabError):
    """Processes that train together differ, have died or have come apart: all of them end."""


class LostError(GroupError):
    """A process of the group has gone silent; each of the others notices by itself."""


class UsageError(MmlabError):
    """A command names a run, a report format or a file that does not exist."""

    exit_code = 2


def explain(place: str, fault: str, *, found: object, allowed: str, next_step: str) -> str:
    """One paragraph with the five parts of a message.

    >>> print(explain("train.lr", "must be positive", found=-1, allowed="> 0", next_step="set it"))
    train.lr: must be positive
      found: -1
      allowed: > 0
      next: set it
    """
    return f"{place}: {fault}\n  found: {found}\n  allowed: {allowed}\n  next: {next_step}"


#: Bytes of UTF-8 that are kept of a message, of a traceback, of whatever a component says.
KEPT_BYTES = 64 * 1024


def shortened(text: str, limit: int = KEPT_BYTES) -> str:
    """A text of at most `limit` bytes: of a longer one its two ends, and how much lies between.

    What no database holds, and no pipe between processes, is escaped: see `storable`.

    >>> shortened("a" * 1000, 96)
    'aaaaaaaa [... 984 of 1,000 characters are left out ...] aaaaaaaa'
    """
    text = storable(text)
    if len(text) <= limit and len(_utf_8(text)) <= limit:
        return text
    room = max(0, limit - 80) // 2
    first = _utf_8(text[:limit])[:room].decode(errors="ignore")
    last = _utf_8(text[-limit:])[-room or limit :].decode(errors="ignore")
    count = len(text) - len(first) - len(last)
    return f"{first} [... {count:,} of {len(text):,} characters are left out ...] {last}"


def _utf_8(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def message_of(error: BaseException, limit: int = KEPT_BYTES) -> str:
    """What an exception says, shortened; that it cannot be said, where its `__str__` raises.

    >>> message_of(ValueError("too small"))
    'too small'
    """
    try:
        return shortened(
            str.__str__(str(error)), limit
        )  # a text of a class of its own as plain text
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # its author's code
        return f"what it says cannot be read: its __str__ raised {type(fault).__name__}"


def traceback_of(error: BaseException) -> str:
    """The whole traceback of an exception, shortened; its frames alone, where it cannot be said."""
    try:
        text = "".join(traceback.format_exception(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # as above
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"{frames}{type(error).__name__}: {message_of(error)}"
    return shortened(text)


#: A NUL; halves of surrogate pairs, which also stand for bytes that are not UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: Controls that reorder the text around them; a terminal would obey them.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unstorable(text: str) -> str | None:
    """The first character of a text that no database and no file name can hold, if there is one.

    >>> unstorable("a\\0b"), unstorable("\\N{GRINNING FACE}")
    ('\\x00', None)
    """
    found = _UNSTORABLE.search(text)
    return found[0] if found else None


def storable(text: str, instead: str | None = None) -> str:
    """Text that any database takes: `instead`, or an escape, for what it would refuse.

    >>> storable("a\\0b"), storable("a\\0b", "_")
    ('a\\\\x00b', 'a_b')
    """
    return _UNSTORABLE.sub(lambda found: _escape(found[0]) if instead is None else instead, text)


def check_text(place: str, text: str) -> None:
    """Raise DataError for a text of a dataset with a NUL, or with half of a surrogate pair."""
    character = unstorable(text)
    if character is None:
        return
    raise DataError(
        explain(
            place,
            f"the text holds {'a NUL' if character == chr(0) else 'half of a surrogate pair'}",
            found=ascii(text[:80]),
            allowed="any Unicode text without NUL and lone surrogates",
            next_step="correct it in the dataset; nothing was written",
        )
    )


#: The password of a URL, up to the last @ that is in front of a ": " of prose.
_IN_URL = re.compile(
    r"(\bpostgres[\w+]*:/{1,2}[^\s:/@]*:)(?:(?!: ).)+@|(\b\w[\w+.-]*:/{1,2}[^\s:/@]*:)[^\s/?#]+@",
    re.IGNORECASE,
)
#: The same without a scheme: `me:password@host`, where no path goes before it.
_BARE = re.compile(r"((?<![\w/@.+-])[\w.+-]+:)(?![\s/:])[^\s'\"]{1,200}@(?=[\w\[.])")
#: One that is named: `password=...`, as options of URLs and libpq have it.
_NAMED = re.compile(
    r"(\b(?:\w*(?:password|passwd|passphrase)|pass|pwd)(?:\s*=\s*|%3d))"
    r"(?:'(?:[^'\\]|\\.)*'|\"[^\"]*\"|['\"]?[^\s&'\"]+)",
    re.IGNORECASE,
)
#: Names of what follows the ? of a URL and lets whoever has it in.
_QUERY_NAME = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|token|secret|apikey|signature|credentials?)"
    r"|(?:[\w.-]*[_.-])?(?:key|sig|pass|pwd|auth))"
)
_IN_QUERY = re.compile(rf"([?&;]{_QUERY_NAME}=)[^\s&;'\"#]+", re.IGNORECASE)
#: The user part of an address of the web, which may be a token alone.
_OF_WEB = re.compile(r"(\b(?:https?|ftps?)://)[^\s/?#@'\"]+@", re.IGNORECASE)
#: How often a text may be percent-encoded; none is on purpose.
_ENCODED = 5


#: Tokens by the forms that their services document, so that they are known wherever they stand:
#: GitHub, GitLab, Hugging Face, AWS, Slack, OpenAI and Anthropic, Google, PyPI, JSON web tokens.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20}|hf_[A-Za-z0-9]{34}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])|xox[abprs]-[\w-]{10}|sk-(?=[\w-]{0,40}\d)[\w-]{32}"
    r"|AIza[\w-]{35}|pypi-AgE[\w-]{20}|eyJ[\w-]{10,200}\.eyJ[\w-]{10})[\w.-]*"
)


def without_passwords(text: str) -> str:
    """A text in which no URL shows its password, and no option that is called so its value.

    >>> without_passwords("postgresql://me:a@b/c@host/db: no such file; sslpassword=d")
    'postgresql://me:***@host/db: no such file; sslpassword=***'
    """
    shown = _IN_URL.sub(lambda found: f"{found[1] or found[2]}***@", text)
    shown = _IN_QUERY.sub(r"\1***", _OF_WEB.sub(r"\1***@", shown))
    shown = _NAMED.sub(r"\1***", _BARE.sub(r"\1***@", shown))
    return _TOKEN.sub("***", shown)


def shows_password(text: str) -> bool:
    """Whether a text shows a password, were it percent-encoded.

    >>> shows_password("db%253Fpassword%253Da"), shows_password("postgresql://me@host/db")
    (True, False)
    """
    for _ in range(_ENCODED):
        if without_passwords(text) != text:
            return True
        before, text = text, unquote(text)
        if text == before:
            return False
    return True


#: A password that is set: `password=...`, or in TOML `db_password = "..."`.
_SET = re.compile(
    r"(?:password|passwd|passphrase)[\"']?[ \t]*=[ \t]*(?![\"']{2})[^ \t]", re.IGNORECASE
)
_WORDS = re.compile(r"[^\s'\"]+")
_SCHEME = re.compile(r"[a-z][\w+.-]{0,40}\Z", re.IGNORECASE)


def secret_in(text: str) -> str | None:
    """What kind of secret a text shows, were it percent-encoded; None if none.

    For texts of any length: it takes time in proportion to that.

    >>> secret_in("https://host/data.tar?token=a"), secret_in("postgresql://me@host/db")
    ('a URL with a token or key', None)
    """
    for _ in range(_ENCODED):
        for word in _WORDS.findall(text):
            if "/" in word and "@" in word and _has_secret_user(word):
                return "a URL with a password or token in its user part"
            if "?" in word and _IN_QUERY.search(word):
                return "a URL with a token or key"
            if _TOKEN.search(word):
                return "a token of a service"
        if _SET.search(text):
            return "a password"
        before, text = text, unquote(text)
        if text == before:
            break
    return None


def _has_secret_user(word: str) -> bool:
    """Whether a word holds a URL whose user part has a password, or is of the web."""
    last = word.rfind("@")
    for colon in re.finditer(":/{1,2}", word):
        found = _SCHEME.search(word[max(0, colon.start() - 40) : colon.start()])
        scheme = found[0].lower() if found else ""
        ends = re.compile("[/?#]").search(word, colon.end())
        end = ends.start() if ends else len(word)
        if scheme.startswith("postgres"):  # whose passwords people write as they are
            first = re.compile("[:/@]").search(word, colon.end())
            if first is not None and first[0] == ":" and last > first.end():
                return True
        user, at, _ = word[colon.end() : end].rpartition("@")
        if at and (user.partition(":")[2] or scheme in ("http", "https", "ftp", "ftps")):
            return True
    return False


def harmless(text: str, keep: str = "\n\t") -> str:
    """A message without passwords and characters that steer a terminal; lines stay lines.

    >>> harmless("\\x1b[31mred\\n")
    '\ufffd[31mred\\n'
    """
    text = without_passwords(text)
    return "".join(c if c in keep or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def visible(text: str) -> str:
    """A value for a terminal: controls of the terminal and of direction as escapes.

    Unlike a message it tells any two values apart, and leaves the joiners of emoji alone.

    >>> visible("line\\nbreak")
    'line\\\\nbreak'
    """
    return "".join(_escape(c) if _steers(c) else c for c in text)


def _steers(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _escape(character: str) -> str:
    return character.encode("unicode_escape", errors="surrogatepass").decode()
