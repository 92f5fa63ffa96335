"""A password in the command line or the environment: kept from other processes, and from output.

Whoever may list processes reads their arguments, and what a process starts is given its
environment. So mmlab blots both out as soon as it has read them, where the system lets it (Linux).
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from mmlab.errors import MmlabError, harmless, shows_password

#: The variable that names the database; processes that mmlab starts need it no more.
VARIABLE = "MMLAB_DB"
#: Where /proc/self/stat says that the arguments and the environment lie, from the process's state.
_PLACES = {"cmdline": (45, 46), "environ": (47, 48)}


@contextmanager
def kept_secret(arguments: Sequence[str]) -> Iterator[str | None]:
    """Blot out arguments with a password, and the variable where it has one.

    Gives what the variable was, which is back in `os.environ` afterwards; None where it stays.
    """
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if shows_password(argument) or ("@" in argument and _is_address(before, argument)):
            value = argument.partition("=")[2] if argument.startswith("--") else argument
            _blot("cmdline", argument, value)
    given = os.environ.get(VARIABLE, "")
    if not is_secret(given):
        yield None
        return
    del os.environ[VARIABLE]
    _blot("environ", f"{VARIABLE}={given}", given)
    try:
        yield given
    finally:
        os.environ[VARIABLE] = given


def is_secret(address: str) -> bool:
    """Whether an address may hold a password, also where it is none that mmlab understands."""
    return "@" in address or shows_password(address)


def _is_address(before: str, argument: str) -> bool:
    return before == "--db" or argument.startswith("--db=")


def _blot(name: str, entry: str, secret: str) -> None:
    """Write stars over the end of an entry of this process's arguments or environment."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        start, end = (int(fields[place]) for place in _PLACES[name])
        shown = Path(f"/proc/self/{name}").read_bytes()
    except (OSError, ValueError, IndexError):
        return  # not Linux, or its processes are hidden from each other
    if not start or len(shown) != end - start or ctypes.string_at(start, len(shown)) != shown:
        return
    whole, count = os.fsencode(entry), len(os.fsencode(secret))
    place = (b"\0" + shown).find(b"\0" + whole + b"\0")
    if place >= 0:
        ctypes.memset(start + place + len(whole) - count, ord("*"), count)


class Redacting(logging.Formatter):
    """Lines of a log without passwords."""

    def format(self, record: logging.LogRecord) -> str:
        """The line as ever, but for passwords."""
        return harmless(super().format(record))


def print_unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of a defect as Python does, without passwords."""
    text = "".join(traceback.format_exception(kind, error, trace))
    if sys.stderr is not None:
        sys.stderr.write(without_secrets(text))


def without_secrets(text: str) -> str:
    """A text without any password that the command was given, wherever it stands."""
    from mmlab.store.address import parse_address

    given = [*sys.argv, *(each.removeprefix("--db=") for each in sys.argv)]
    for address in (*given, os.environ.get(VARIABLE, "")):
        if "://" in address:
            with suppress(MmlabError):
                text = parse_address(address).redact(text)
    return harmless(text)
