"""Files written whole or not at all (atomic writes), their sizes in words, and their sha256."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from mmlab.errors import UsageError, explain


def size_text(size_bytes: int) -> str:
    """A file's size in MB, or in kB where that would be almost none.

    >>> size_text(580_000), size_text(4_210), size_text(12)
    ('0.6 MB', '4.2 kB', '0.0 kB')
    """
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def write_whole(path: Path, content: bytes, what: str = "file") -> None:
    """Write beside the path, then take its place: a reader never sees half of it.

    Raises UsageError where that cannot be done, and where a folder or a device is in the place.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # both say no where the name is too long
        raise _unwritable(path, what, "a folder" if path.is_dir() else "a device or a pipe")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        found = error.strerror or type(error).__name__
        raise _unwritable(path, what, found) from error


def _unwritable(path: Path, what: str, found: str) -> UsageError:
    return UsageError(
        explain(
            str(path),
            f"the {what} cannot be written",
            found=found,
            allowed="a file in a folder that exists, is writable and has space",
            next_step="name another file, or mend the folder",
        )
    )


def file_sha256(path: Path) -> str:
    """Identity of a file: the sha256 of its bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
