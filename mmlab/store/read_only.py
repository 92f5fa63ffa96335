"""SQLite files that this user cannot write: read in place, or as a copy where that cannot be.

SQLite reads a database in WAL mode only where it may make files beside it, or with `immutable`,
which leaves out what the `-wal` file holds and reads nonsense beside a writer. So `immutable` is
for files without one, and is given up as soon as the file changes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mmlab.errors import StoreError, explain
from mmlab.store.address import Address

#: What holds changes that the file itself does not have yet: a log, and what undoes half of one.
_LOGS = ("-wal", "-journal")
#: How often a file that changes meanwhile is copied, and for how long it must not have changed: the
#: clocks of file systems do not tell less.
_TRIES, _QUIET_SECONDS = 20, 0.05
#: The head of a -wal file, which is another one as soon as its contents are in the database.
_HEAD_BYTES = 32

#: Size and time of a file; None where there is none.
Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Source:
    """How a file is read: its URI, what to tell of it, the copy's folder, and when it is void.

    `stamp` is that of a file that must not change while it is read, None where it may.
    """

    uri: str
    notice: str | None = None
    folder: tempfile.TemporaryDirectory[str] | None = None
    stamp: Stamp = None

    def close(self) -> None:
        """Remove the copy."""
        if self.folder is not None:
            self.folder.cleanup()


def find_source(address: Address) -> Source | None:
    """How to read a file that cannot be written; None where it is opened as any other."""
    path = Path(os.path.realpath(address.path or ""))
    may_write_file, may_write_folder = _may_write(path), _may_write(path.parent)
    if may_write_file and (may_write_folder or _can_read(_uri(path, "mode=rw"))):
        return None
    in_place = _uri(path, "mode=ro")
    if _can_read(in_place):
        return Source(in_place)
    if any(_size(log) for log in _logs(path)):
        return _copied(address, path)
    # Not before that look: a writer may have begun between the two.
    return Source(_uri(path, "mode=ro&immutable=1"), stamp=stamp_of(path))


def _may_write(path: Path) -> bool:
    is_effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=is_effective)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path))}?{options}"


def _can_read(uri: str) -> bool:
    """Whether SQLite reads it; also where it says that something else is wrong with it."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    except sqlite3.DatabaseError:
        return True
    return True


def _logs(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{ending}") for ending in _LOGS]


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def stamp_of(path: Path) -> Stamp:
    """What tells a file's contents from those of before."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _copied(address: Address, path: Path) -> Source:
    folder = tempfile.TemporaryDirectory(prefix="mmlab-read-only-")
    try:
        _copy_whole(address, path, Path(folder.name))
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, OSError):
            raise StoreError(_explain_no_copy(address, error)) from error
        raise
    said = f"{address.display} cannot be written, and changes lie beside it that are not in it yet"
    # Not mode=ro: what lies beside it is merged into the copy.
    uri = _uri(Path(folder.name) / path.name, "mode=rw")
    return Source(uri, f"{said}: read is a copy of both, as they were at the start", folder)


def _copy_whole(address: Address, path: Path, folder: Path) -> None:
    """Copy a file and its logs as they are at one moment: none of them changed but at its end."""
    for _ in range(_TRIES):
        before = _state(path)
        shutil.copyfile(path, folder / path.name)
        for log in _logs(path):
            (folder / log.name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(log, folder / log.name)
        if before == _state(path) and _is_quiet(before):
            return
        time.sleep(_QUIET_SECONDS)
    raise StoreError(
        explain(
            address.display,
            "the file cannot be written, and it changed each time it was copied",
            found=f"{_TRIES} tries",
            allowed="a moment in which nobody writes into it",
            next_step="run the command again, or make its folder writable for this user",
        )
    )


def _state(path: Path) -> tuple[Stamp, bytes, Stamp]:
    """What changes whenever the parts would not belong together; a -wal file may grow."""
    log, journal = _logs(path)
    head = b""
    with suppress(FileNotFoundError), log.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return stamp_of(path), head, stamp_of(journal)


def _is_quiet(state: tuple[Stamp, bytes, Stamp]) -> bool:
    times = [stamp[1] for stamp in (state[0], state[2]) if stamp is not None]
    return time.time_ns() - max(times, default=0) > _QUIET_SECONDS * 1e9


def _explain_no_copy(address: Address, error: OSError) -> str:
    return explain(
        address.display,
        "the file cannot be written, and no copy of it can be made to read",
        found=error.strerror or str(error),
        allowed="space for a copy in the folder of temporary files",
        next_step="name a folder with space in TMPDIR, or make the file's folder writable",
    )


def explain_changed(address: Address) -> str:
    """Why what was read of a file without a log may be nonsense."""
    return explain(
        address.display,
        "the file changed while it was read, in a folder that this user cannot write",
        found="another size or time",
        allowed="a file that nobody writes into",
        next_step="run the command again, or make its folder writable for this user",
    )
