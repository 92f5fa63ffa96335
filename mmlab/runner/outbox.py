"""From the spool of a run to its database, by a thread that tries until the database has all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mmlab.errors import RunError, StoreError, explain
from mmlab.metric import Metric
from mmlab.records import MetricPoint
from mmlab.runner.spool import (
    Ending,
    Fail,
    Finish,
    Header,
    Points,
    Record,
    Release,
    Rewind,
    Spool,
    spool_path,
)
from mmlab.store import CellClaim, Claim, DatabaseReplaced, LeaseLost, Store
from mmlab.store.engine import backoff

#: What was given is in the database, or at least on the disk, at most so much later.
FLUSH_SECONDS = 2.0
#: Nor do more records than this wait for the disk.
FLUSH_RECORDS = 100
#: Of curves, so many points are written in one transaction.
BATCH_POINTS = 10_000


def record_in(
    store: Store,
    claim: Claim,
    record: Record,
    declared: Iterable[Metric],
    cell: CellClaim | None = None,
) -> bool:
    """Write a record to the database, or again; False if what it ends is another's by now.

    What ends the run ends `cell` in the queue, too.

    Raises LeaseLost for what only the run's latest claim may write.
    """
    match record:
        case Points(points):
            store.record_points(claim, points, tuple(declared))
        case Rewind(step):
            store.rewind(claim, step)
        case Finish(results, hashes, artifacts, summary, step, skipped):
            store.finish(claim, results, hashes, artifacts, summary, step, skipped, cell)
        case Fail(outcome, message, traceback):
            return store.fail(claim, outcome, message, traceback, cell)
        case Release(outcome):
            return store.release(claim, outcome, cell)
    return True


def merged(entries: Iterable[tuple[Record, int]]) -> Iterator[tuple[Record, int]]:
    """Records and where each ends; points that follow each other become one record."""
    waiting, until = list[MetricPoint](), 0
    for record, end in entries:
        is_points = isinstance(record, Points)
        if waiting and (len(waiting) >= BATCH_POINTS or not is_points):
            yield Points(tuple(waiting)), until
            waiting = []
        if isinstance(record, Points):
            waiting += record.points
            until = end
        else:
            yield record, end
    if waiting:
        yield Points(tuple(waiting)), until


class Outbox:
    """The records of one claim on their way: in the spool when `add` returns, then in the database.

    `fault` is why nothing more gets there: LeaseLost, DatabaseReplaced, or a defect. `away` is why
    nothing does at the moment. The file goes when the database has the run's ending.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        runs: Path,
        declared: tuple[Metric, ...],
        note: Callable[[str], None],
        database: str,
        cell: CellClaim | None = None,
    ) -> None:
        whose = (claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
        self.spool = Spool(spool_path(runs, claim), Header(database, *whose, declared, cell))
        self.claim = claim
        self.cell = cell
        self.ending: Ending | None = None
        self.is_ended = False
        self.away: StoreError | None = None
        self.fault: Exception | None = None
        self._store = store.with_patience(0)
        self._note = note
        self._declared = declared
        #: Up to where the database is to have the spool, and has it; an ending is not counted.
        self._given = self._recorded = 0
        self._is_closing = False
        self._synced_at = self._recorded_at = time.monotonic()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="mmlab-record", daemon=True)

    @property
    def waiting_bytes(self) -> int:
        """How much of the spool the database does not have yet."""
        return self._given - self._recorded

    @property
    def is_recorded(self) -> bool:
        """Whether the database has all that was given."""
        return not self.waiting_bytes and (self.ending is None or self.is_ended)

    def add(self, record: Record) -> None:
        """Take a record in. Raises RunError where the disk does not."""
        with self._changed:
            assert self.ending is None, "the run has ended"
            self.spool.append(record)
            self._given = self.spool.size
            self._changed.notify_all()
        self._start()

    def seal(self, ending: Ending) -> None:
        """Take the last record in. What the disk does not take of it is in memory: RunError."""
        try:
            with self._changed:
                self.ending = ending
                self._changed.notify_all()
                self.spool.append(ending)
            self.spool.sync()
            self.spool.require()
        finally:
            self._start()

    def sync(self) -> None:
        """Be sure that all is on the disk. Raises RunError where it is not."""
        self.spool.sync()
        self._synced_at = time.monotonic()

    def sync_if_due(self) -> None:
        """The same where it was not for some time, or not for many records."""
        is_due = time.monotonic() - self._synced_at >= FLUSH_SECONDS
        if is_due or self.spool.unsynced >= FLUSH_RECORDS:
            self.sync()

    def wait_for(self, is_so: Callable[[], object], seconds: float | None = None) -> bool:
        """Wait until something is so, or nothing more gets to the database, or time is up."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: is_so() or self.fault, seconds))

    def close(self) -> None:
        """Stop; what the database does not have stays in the spool."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=1)
        if self._thread.is_alive():  # it waits for a server that does not answer
            return
        if self.is_recorded:
            self.spool.remove()
        self.spool.close()

    def tell(self, text: str) -> None:
        """Say a line to whoever listens; where nobody does, recording goes on."""
        with suppress(Exception):
            self._note(text)

    def _start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        pauses: Iterator[float] | None = None
        while self._wait_for_work(next(pauses) if pauses else None):
            try:
                self._record()
            except (LeaseLost, DatabaseReplaced) as error:
                self._stop(self._look_up(error))
            except StoreError as error:
                pauses = pauses or backoff()
                self._went_away(error)
            except Exception as error:  # a defect: raised where the run can be stopped
                self._stop(error)
            else:
                pauses = None
                self._came_back()

    def _wait_for_work(self, pause: float | None) -> bool:
        """Wait until something can be recorded, or as long as it is no use to try; False to end."""
        with self._changed:
            if pause is not None:
                self._changed.wait_for(lambda: self._is_closing, pause)
            else:
                self._changed.wait_for(lambda: self._is_closing or not self.is_recorded)
                seconds = self._recorded_at + FLUSH_SECONDS - time.monotonic()
                self._changed.wait_for(lambda: self._is_closing or self.ending, seconds)
            return not (self._is_closing or self.is_ended or self.fault)

    def _record(self) -> None:
        """Write what waits to the database, and how the run has ended if nothing else waits."""
        end = self._given
        for record, until in merged(self.spool.read(self._recorded, end)):
            record_in(self._store, self.claim, record, self._declared)
            self._advance(until)
        if self._recorded < end:
            raise _damaged(self.spool.path, self._recorded)
        with self._changed:
            self._recorded_at = self._synced_at = time.monotonic()
            if self._given == end and self.ending is None:
                self.spool.empty()
                self._given = self._recorded = self.spool.size
            ending = self.ending if self._given == end else None
        if ending is not None:
            self._record_ending(ending)

    def _record_ending(self, ending: Ending) -> None:
        if not record_in(self._store, self.claim, ending, self._declared, self.cell):
            raise LeaseLost(f"run {self.claim.run_id} is another process's by now")
        self.spool.remove()
        with self._changed:
            self.is_ended = True
            self._changed.notify_all()

    def _advance(self, until: int) -> None:
        with self._changed:
            self._recorded = until
            self._changed.notify_all()

    def _stop(self, fault: Exception) -> None:
        with self._changed:
            self.fault = fault
            self._changed.notify_all()

    def _look_up(self, error: StoreError) -> StoreError:
        """A database that does not know the run is not the one in which it was claimed."""
        with suppress(StoreError):
            if isinstance(error, LeaseLost) and self._store.run_row(self.claim.run_id) is None:
                error = DatabaseReplaced(_unknown(self._store, self.claim))
        if isinstance(error, DatabaseReplaced):
            self.away = error
            self.tell(f"{error}\n  kept: all that this run records is in {self.spool.path}")
        return error

    def _went_away(self, error: StoreError) -> None:
        if self.away is None:
            said = str(error).partition("\n  allowed")[0]
            goes_on = "training goes on" if self.ending is None else "the run has ended"
            self.tell(f"{said}\n  {goes_on}; what it records waits in {self.spool.path}")
        self.away = error
        try:
            self.sync_if_due()
        except RunError as fault:
            self._stop(fault)

    def _came_back(self) -> None:
        if self.away is not None:
            self.tell("the database is back, and has all that waited for it")
        self.away = None


def _unknown(store: Store, claim: Claim) -> str:
    return explain(
        store.url_display,
        f"the database does not know run {claim.run_id}, which was claimed in it",
        found="another database, or an older state of it",
        allowed="the database in which the run was claimed",
        next_step="bring that one back, then: mmlab sync",
    )


def _damaged(path: Path, place: int) -> RunError:
    return RunError(
        explain(
            str(path),
            "what this run has recorded cannot be read back",
            found=f"other bytes than were written, from byte {place:,} on",
            allowed="a file that nobody else changes, on a disk that keeps it",
            next_step="check the disk, then run again",
        )
    )
