"""What code prints and which files it writes, seen from outside."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field

#: Events of Python's audit hooks that change the file system, by which of their values is the path.
_CHANGES = {
    "os.mkdir": 0,
    "os.remove": 0,
    "os.rename": 1,
    "os.rmdir": 0,
    "os.symlink": 1,
    "os.link": 1,
    "os.truncate": 0,
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


@dataclass
class Effects:
    """What was printed, and the paths that were written, created or removed, in their order."""

    printed: str = ""
    written: list[str] = field(default_factory=list)


@contextmanager
def side_effects() -> Iterator[Effects]:
    """Tell what this thread prints and writes while the block runs; nothing is held back.

    Compiled modules that Python keeps and writes to devices are left out.
    """
    effects, thread = Effects(), threading.get_ident()

    def listen(path: str) -> None:
        if threading.get_ident() == thread and not _is_pythons(path):
            effects.written.append(path)

    text = io.StringIO()
    _listen_always()
    _LISTENERS.append(listen)
    try:
        with redirect_stdout(text), redirect_stderr(text):
            yield effects
    finally:
        _LISTENERS.remove(listen)
        effects.printed = text.getvalue()


def _is_pythons(path: str) -> bool:
    return "__pycache__" in path or path.startswith(("/dev/", "/proc/"))


#: Who is told of writes now. An audit hook cannot be removed, so there is one that asks this.
_LISTENERS: list[Callable[[str], None]] = []
_INSTALLED: list[bool] = []


def _listen_always() -> None:
    if not _INSTALLED:
        _INSTALLED.append(True)
        sys.addaudithook(_hear)


def _hear(event: str, values: tuple[object, ...]) -> None:
    if not _LISTENERS:
        return
    path = _path_written(event, values)
    if path is not None:
        for listener in list(_LISTENERS):
            listener(path)


def _path_written(event: str, values: tuple[object, ...]) -> str | None:
    """The path that an event of Python's changes, or None."""
    if event == "open":
        path, _, flags = values
        is_write = isinstance(flags, int) and bool(flags & _WRITING)
        return os.fsdecode(path) if is_write and isinstance(path, str | bytes) else None
    if event in _CHANGES:
        path = values[_CHANGES[event]]
        return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else None
    return None
