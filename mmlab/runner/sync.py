"""What spools of former processes hold: recorded by `mmlab sync`, or by whoever takes a run up.

A sealed spool is recorded under the claim that has written it, if that is still the latest. What
an unsealed one holds is recorded by the next claim of its run, before training goes on.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

import msgspec

from mmlab.errors import explain, message_of, visible
from mmlab.files import open_file
from mmlab.runner.outbox import merged, record_in
from mmlab.runner.spool import (
    ENTRY,
    FOLDER,
    KINDS,
    VERSION,
    Ending,
    Fail,
    Finish,
    Header,
    Record,
    Release,
    lock,
    read_records,
)
from mmlab.runner.wire import FRAME, read_frames, unpack
from mmlab.store import Claim, LeaseLost, RunRow, Store

Status = Literal["recorded", "removed", "waiting", "unknown", "damaged"]
#: Of a run: nobody will claim it again by itself.
OVER = ("done", "cancelled")


@dataclass(frozen=True)
class Synced:
    """What became of a spool.

    `recorded`, or `removed` as the database has what it holds or no use for it: the file is gone.
    `waiting`: kept for whoever takes the run up next. `unknown`, of another database, and `damaged`
    are kept, and somebody should look. `reason` says more.
    """

    status: Status
    path: Path
    run_id: str | None
    reason: str

    @property
    def is_fault(self) -> bool:
        """Whether something is kept that nobody will record."""
        return self.status in ("unknown", "damaged")


class Unreadable(Exception):
    """Why a file is no spool, in a few words."""


@dataclass(frozen=True)
class Spooled:
    """A spool as it lies there.

    `is_sealed`: it says how the run has ended. `is_living`: its process has it open. `damaged_at`
    is the byte from which it cannot be read, as where it was cut off; None where all of it can.
    """

    path: Path
    header: Header
    is_sealed: bool
    is_living: bool
    damaged_at: int | None

    def records(self) -> Iterator[Record]:
        """What was recorded, in order; points that follow each other are one record."""
        with self.path.open("rb") as file:
            begin = FRAME + len(next(read_frames(file)))
            yield from (record for record, _ in merged(read_records(file, begin)))


def look_into(path: Path) -> Spooled:
    """What a spool is, without its records. Raises Unreadable; FileNotFoundError for no file."""
    with _opened(path) as file:
        is_living = not lock(file.fileno(), fcntl.LOCK_SH)
        end, kind, header = 0, 0, None
        try:
            for content in read_frames(file):
                kind = ENTRY.unpack_from(content)[1]
                header = header or _header(content)
                end += FRAME + len(content)
            is_sealed = issubclass(KINDS[kind], Ending)
        except (struct.error, msgspec.MsgspecError, IndexError) as error:
            raise Unreadable("it is none of this program's") from error
        size = os.fstat(file.fileno()).st_size
    if header is None:
        raise Unreadable("its header is damaged")
    return Spooled(path, header, is_sealed, is_living, None if end == size else end)


def _opened(path: Path) -> BufferedReader:
    try:
        return open_file(path)
    except FileNotFoundError:
        raise
    except OSError as error:  # a pipe, a folder, another user's file
        raise Unreadable(error.strerror or message_of(error)) from error


def _header(content: bytes) -> Header:
    version = unpack(_Version, content[ENTRY.size :]).version
    if version != VERSION:
        raise Unreadable(f"it is of format {version}, and this program knows {VERSION}")
    header: Header = unpack(Header, content[ENTRY.size :])
    return header


@dataclass(frozen=True)
class _Version:
    """What the header of every format has."""

    version: int


def sync_folder(
    store: Store, runs: Path, note: Callable[[str], None] = lambda text: None, database: str = ""
) -> list[Synced]:
    """Record every sealed spool of a folder of runs, in the order of their claims, once or again.

    Those of living processes are left alone, and so are unsealed ones of runs that may go on. What
    is told of the others is worth a line each. Raises StoreError where the database is away; all
    that is not recorded then is kept.
    """
    found = []
    for path in _spools(runs):
        with suppress(FileNotFoundError):  # another process was quicker
            outcome = _sync(store, path, database)
            if outcome is not None:
                found.append(outcome)
                note(f"{path.name}: {outcome.reason}")
    return found


def _spools(runs: Path, run_id: str = "") -> list[Path]:
    """The spools in a folder of runs, of all runs or of one, former claims first."""
    return sorted(runs.joinpath(FOLDER).glob(f"{run_id}*-*-*.bin"), key=_place)


def _place(path: Path) -> tuple[str, int, str]:
    run_id, fence, worker = path.stem.rsplit("-", 2)
    return run_id, int(fence) if fence.isdecimal() else 0, worker


def _sync(store: Store, path: Path, database: str) -> Synced | None:
    try:
        spool = look_into(path)
    except Unreadable as fault:
        return Synced("damaged", path, None, f"kept: {fault}")
    if spool.is_living:
        return None
    header, run = spool.header, store.run_row(spool.header.run_id)
    if run is None or run.fence < header.fence or _is_of_another(header, database):
        return Synced("unknown", path, header.run_id, _explain_unknown(store, header))
    if run.status == "running" and run.fence == header.fence:
        return _record_alone(store, spool) if spool.is_sealed else None
    return _let_go(spool, run)


def _is_of_another(header: Header, database: str) -> bool:
    return bool(database and header.database) and database != header.database


def _explain_unknown(store: Store, header: Header) -> str:
    return explain(
        f"kept: run {visible(header.run_id)}",
        "it was claimed in another database than this one, or in a newer state of it",
        found=f"claim {header.fence}, made on {visible(header.host)}",
        allowed=f"runs and claims that {store.url_display} knows",
        next_step="name that database with --db; where there is none any more, delete the file",
    )


def _record_alone(store: Store, spool: Spooled) -> Synced | None:
    """Record a sealed spool unless another process does: two would undo each other's rewinds."""
    with spool.path.open("rb") as file:
        return _record(store, spool) if lock(file.fileno(), fcntl.LOCK_EX) else None


def _record(store: Store, spool: Spooled) -> Synced:
    """Record a sealed spool under its own claim."""
    header, ending = spool.header, None
    about, taken_over = (spool.path, header.run_id), "kept: the run was taken over meanwhile"
    try:
        for record in spool.records():
            if isinstance(record, Ending):
                ending = record
            else:
                record_in(store, header.claim, record, header.declared)
        if ending is not None and not _record_ending(store, header, ending):
            return Synced("waiting", *about, taken_over)
    except LeaseLost:
        return Synced("waiting", *about, taken_over)
    if ending is None:
        return Synced("damaged", *about, "kept: its last record cannot be read")
    spool.path.unlink(missing_ok=True)
    ended = {Finish: "done", Fail: "failed", Release: "queued again"}[type(ending)]
    return Synced("recorded", *about, f"recorded: run {header.run_id} is {ended}")


def _record_ending(store: Store, header: Header, ending: Ending) -> bool:
    """End the run, with its cell in the queue unless that is another's by now."""
    if header.cell is not None:
        with suppress(LeaseLost):
            if record_in(store, header.claim, ending, header.declared, header.cell):
                return True
    return record_in(store, header.claim, ending, header.declared)


def _let_go(spool: Spooled, run: RunRow) -> Synced | None:
    """Delete what nobody needs, as the claim or its run has ended."""
    header, about = spool.header, (spool.path, run.run_id)
    is_own = run.fence == header.fence
    if run.status in OVER or (is_own and spool.is_sealed):
        spool.path.unlink(missing_ok=True)
        by = " by this very claim" if is_own else " by another claim"
        ended = "cancelled" if run.status == "cancelled" else f"{run.status}{by}"
        return Synced("removed", *about, f"removed: run {run.run_id} is {ended}")
    if spool.is_sealed:
        reason = f"kept: run {run.run_id} was taken over and is {run.status}"
        return Synced("waiting", *about, reason)
    return None


def replay(
    store: Store,
    claim: Claim,
    runs: Path,
    note: Callable[[str], None] = lambda text: None,
    database: str = "",
) -> bool:
    """Record under a new claim what former ones of its run have left, before `RunWriter.rewind`.

    Curves have no gap then. True where the claim before had finished all, so that the run is done
    now, and nothing is left to do. Raises LeaseLost, and StoreError where the database is away: all
    that is not recorded is kept.
    """
    is_done = False
    for path in _spools(runs, claim.run_id):
        with suppress(FileNotFoundError):
            try:
                spool = look_into(path)
            except Unreadable as fault:
                note(f"{path}: this spool cannot be read ({fault}); it is kept")
                continue
            if spool.header.fence < claim.fence and not _is_of_another(spool.header, database):
                is_done = _replay(store, claim, runs, spool)
                _tell_damage(spool, note)
                path.unlink()
    return is_done


def _replay(store: Store, claim: Claim, runs: Path, spool: Spooled) -> bool:
    declared = spool.header.declared
    for record in spool.records():
        if not isinstance(record, Ending):
            record_in(store, claim, record, declared)
        elif isinstance(record, Finish) and _is_next(spool, claim) and _has_files(record, runs):
            return record_in(store, claim, record, declared)
    return False


def _is_next(spool: Spooled, claim: Claim) -> bool:
    """Whether nobody has had the run since, who may have changed its files."""
    return spool.header.fence == claim.fence - 1


def _has_files(finish: Finish, runs: Path) -> bool:
    """Whether the files that a finished run has left are still there."""
    paths = [(runs / file.path, file.size_bytes) for file in finish.artifacts]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _tell_damage(spool: Spooled, note: Callable[[str], None]) -> None:
    """A process that was killed in a write leaves a part of a record; that is worth a line too."""
    if spool.damaged_at is not None:
        note(f"{spool.path}: cut off at byte {spool.damaged_at:,}; what was whole is recorded")
