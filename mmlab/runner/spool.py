"""The spool of a run: what it records, in an append-only file until the database has it (outbox).

RUNS/spool/RUN_ID-FENCE-WORKER.bin belongs to one claim. It holds a header and records, each in a
frame with length and checksum, and numbered; a file whose last record says how the run has ended is
sealed. Its process holds a lock on it. Whoever takes the run up next replays what waits in it.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from mmlab.errors import RunError, explain
from mmlab.files import size_text, sync
from mmlab.metric import Metric
from mmlab.records import Artifact, EvaluationResult, MetricPoint, SkippedSample
from mmlab.runner.wire import FRAME, frame, pack, read_frames, unpack
from mmlab.store import CellClaim, Claim

#: The folder of spools in that of runs.
FOLDER = "spool"
#: Of the file's format; a file of another one is left alone.
VERSION = 1
#: The number of a record, and its kind.
ENTRY = struct.Struct("<QB")


@dataclass(frozen=True)
class Header:
    """Whose spool it is: of which claim, in which database.

    `declared` are its curves' metrics, `cell` the claim of its cell in the queue.
    """

    database: str
    run_id: str
    fence: int
    worker: str
    lease_seconds: float
    declared: tuple[Metric, ...] = ()
    cell: CellClaim | None = None
    host: str = field(default_factory=socket.gethostname)
    version: int = VERSION

    @property
    def claim(self) -> Claim:
        """The claim, by whose fence all that is recorded is guarded."""
        return Claim(self.run_id, self.fence, self.worker, self.lease_seconds)


@dataclass(frozen=True)
class Points:
    """Points of training curves."""

    points: tuple[MetricPoint, ...]


@dataclass(frozen=True)
class Rewind:
    """Training goes on after this step: later points are void."""

    step: int


@dataclass(frozen=True)
class Finish:
    """Everything final of a run that is done, as `Store.finish` takes it."""

    evaluations: tuple[EvaluationResult, ...]
    hashes: Mapping[str, str]
    artifacts: tuple[Artifact, ...] = ()
    summary: Mapping[str, object] = field(default_factory=dict)
    step: int | None = None
    skipped: tuple[SkippedSample, ...] = ()


@dataclass(frozen=True)
class Fail:
    """The run has failed, and why."""

    outcome: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Release:
    """The run was given back to the queue."""

    outcome: str


Ending = Finish | Fail | Release
Record = Points | Rewind | Ending
#: By the number that stands for each in a file.
KINDS: tuple[type, ...] = (Header, Points, Rewind, Finish, Fail, Release)


def spool_path(runs: Path, claim: Claim) -> Path:
    """The file of a claim in a folder of runs."""
    return runs / FOLDER / f"{claim.run_id}-{claim.fence}-{claim.worker[:8]}.bin"


class Spool:
    """The file of one claim, open for appending; made with its first record.

    Its methods raise RunError where the disk does not take what is written; what was there stays.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.size = 0
        self._file = -1
        self._begin = 0
        self._count = 0
        self._synced = 0
        self._is_named = False

    @property
    def unsynced(self) -> int:
        """How many records would be lost if the power failed."""
        return self._count - self._synced

    def append(self, record: Record) -> None:
        """Write a record: when the process dies, it is in the file."""
        with self._writing():
            if self._file < 0:
                self._open()
            self._write(record)

    def sync(self) -> None:
        """Wait until all records, and the file's name, are on the disk (fsync)."""
        count = self._count
        if self._file < 0 or count == self._synced:
            return
        with self._writing():
            os.fsync(self._file)
            if not self._is_named:
                sync(self.path.parent)
                sync(self.path.parent.parent)
                self._is_named = True
        self._synced = max(self._synced, count)

    def require(self) -> None:
        """Raise RunError where somebody has deleted the file meanwhile."""
        with self._writing():
            self.path.stat()

    def read(self, begin: int, end: int) -> Iterator[tuple[Record, int]]:
        """The records between two places of the file, and where each ends."""
        begin = max(begin, self._begin)
        for record, until in read_records(io.BufferedReader(_From(self._file, begin)), begin):
            if until > end:
                return
            yield record, until

    def empty(self) -> None:
        """Let go of all records, which the database has."""
        with self._writing():
            os.ftruncate(self._file, self._begin)
        self.size, self._synced = self._begin, self._count

    def remove(self) -> None:
        """Delete the file: the database has all of it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file, which stays."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _open(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # whoever may write runs may write spools
                folder.chmod(folder.parent.stat().st_mode & 0o7777)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(self.path, flags, 0o666)
        lock(self._file, fcntl.LOCK_EX)
        try:
            self._write(self.header)
        except OSError:
            self.remove()
            raise
        self._begin = self.size

    def _write(self, record: Record | Header) -> None:
        """Append whole or not at all."""
        head = ENTRY.pack(self._count, KINDS.index(type(record)))
        content = memoryview(frame(head + pack(record)))
        written = 0
        if os.fstat(self._file).st_size > self.size:  # an interruption came in between
            os.ftruncate(self._file, self.size)
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += written
        self._count += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self.path, self.size, error) from error


def lock(file: int, kind: int) -> bool:
    """Lock an open file for this process; False where another one holds it.

    Where the file system knows no locks nobody is kept off: the fence guards what is recorded.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class _From(io.RawIOBase):
    """An open file from a place on, wherever those stand who append to it."""

    def __init__(self, file: int, place: int) -> None:
        self._file = file
        self._place = place

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # Any: of bytes that can be written
        """The next bytes."""
        count = os.preadv(self._file, [buffer], self._place)
        self._place += count
        return count


def read_records(file: BinaryIO, begin: int) -> Iterator[tuple[Record, int]]:
    """The records of a file that stands at its byte `begin`, and where each ends.

    It ends in front of what was cut off, is damaged or of another program.
    """
    end, expected = begin, None
    for content in read_frames(file):
        try:
            number, kind = ENTRY.unpack_from(content)
            record = unpack(KINDS[kind], memoryview(content)[ENTRY.size :])
        except (struct.error, msgspec.MsgspecError, IndexError):
            return
        if expected not in (None, number):
            return
        end, expected = end + FRAME + len(content), number + 1
        yield record, end


def _unwritable(path: Path, size: int, error: OSError) -> RunError:
    is_full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    message = explain(
        str(path),
        "what the run records cannot be kept",
        found=f"{error.strerror or error}, at {size_text(size)}",
        allowed="a folder with free space that this user may write",
        next_step="free space or choose another folder with --runs, then run again",
    )
    return RunError(message, "disk_full" if is_full else "error")
