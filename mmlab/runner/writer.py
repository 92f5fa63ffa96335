"""Recording a claimed run: first in its spool, then in the database, for which nobody waits.

A run that ends while the database is away leaves a sealed spool, which `mmlab sync` or the next
command records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmlab.errors import RunError, StoreError, explain, without_passwords
from mmlab.files import size_text
from mmlab.metric import Metric
from mmlab.records import Artifact, EvaluationResult, MetricPoint, SkippedSample
from mmlab.runner.outbox import Outbox, record_in
from mmlab.runner.spool import Ending, Fail, Finish, Points, Release, Rewind
from mmlab.store import CellClaim, Claim, DatabaseReplaced, LeaseLost, Store
from mmlab.store.write import check_points, check_results

#: A spool that waits for its database grows to this.
LIMIT_BYTES = 256 << 20
#: A run that has ended waits for its database for so long.
PATIENCE_SECONDS = 60.0
#: So many times as long where the database is not away, but busy with it.
TAKING = 10


@dataclass(frozen=True)
class Sealed:
    """A run that has ended while its database was away: all of it is in a file."""

    path: Path
    reason: str

    def __str__(self) -> str:
        """What a person should know and do."""
        return explain(
            str(self.path),
            "the run has ended and is not in the database yet; this file holds all of it",
            found=self.reason,
            allowed="a database that can be reached",
            next_step="mmlab sync when the database is back; the next mmlab run does so too",
        )


class RunWriter:
    """What the process that holds a claim records of its run. Close it, or use it in a `with`.

    `declared` are the metrics of its curves, `database` is the database's id, `cell` the
    claim of its cell in the queue, which ends with it, `note` takes what is
    worth a line, from another thread too. What a method cannot keep on the disk is a RunError, and
    RunError("lost") says that another process has the run.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        runs: Path,
        declared: Sequence[Metric] = (),
        note: Callable[[str], None] = lambda text: None,
        *,
        database: str = "",
        cell: CellClaim | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self._store = store
        self._declared = tuple(declared)
        self._patience = patience_seconds
        self._limit = limit_bytes
        self._outbox = Outbox(store, claim, runs, self._declared, note, database, cell)
        self._unsealed: RunError | None = None

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def claim(self) -> Claim:
        """Of which everything is recorded."""
        return self._outbox.claim

    @property
    def is_lost(self) -> bool:
        """Whether a write has shown that another process has the run."""
        return isinstance(self._outbox.fault, LeaseLost)

    @property
    def path(self) -> Path:
        """The file of what the database does not have yet."""
        return self._outbox.spool.path

    @property
    def away(self) -> StoreError | None:
        """Why the database takes nothing at the moment."""
        return self._outbox.away

    def points(self, points: Sequence[MetricPoint]) -> None:
        """Add points of curves, replacing those of the same name and step.

        They outlive this process at once, and a power cut 2 seconds or 100 records later. Waits
        only where the spool has reached its limit.
        """
        check_points(points)
        self.check()
        self._wait_for_room()
        self._outbox.add(Points(tuple(points)))
        self._outbox.sync_if_due()

    def rewind(self, step: int) -> None:
        """Remove the points after this step: training goes on from there, or 0."""
        self.check()
        self._outbox.add(Rewind(step))

    def flush(self) -> None:
        """Be sure that what was given is on the disk (fsync)."""
        self._outbox.sync()

    def hold(self) -> None:
        """The same before a checkpoint is written, which must not be ahead of the curves."""
        self.check()
        self.flush()

    def check(self) -> None:
        """Raise what keeps this run from being recorded, where that is known: it must stop."""
        fault = self._outbox.fault
        if isinstance(fault, LeaseLost):
            raise RunError(str(fault), "lost") from fault
        if fault is not None and not isinstance(fault, DatabaseReplaced):
            raise fault

    def wait(self, seconds: float) -> bool:
        """Wait until the database has all that was given; False where it has not by then."""
        self._outbox.wait_for(lambda: self._outbox.is_recorded, seconds)
        return self._outbox.is_recorded

    def finish(
        self,
        evaluations: Sequence[EvaluationResult],
        hashes: Mapping[str, str],
        artifacts: Sequence[Artifact] = (),
        summary: Mapping[str, object] | None = None,
        step: int | None = None,
        skipped: Sequence[SkippedSample] = (),
    ) -> Sealed | None:
        """Record everything final and mark the run done; what is kept where that must wait.

        Raises LeaseLost if the run is another process's by now.
        """
        check_results(evaluations)
        results = tuple(replace(result, scores=None) for result in evaluations)
        parts = results, hashes, tuple(artifacts), summary or {}, step, tuple(skipped)
        return self._end(Finish(*parts))

    def fail(
        self, outcome: str, message: str, traceback: str, patience_seconds: float | None = None
    ) -> Sealed | None:
        """Record that the run has failed, unless it is another's; what is kept where that waits."""
        # The store takes every form of a password out; a file keeps none in the meantime, either.
        message, traceback = without_passwords(message), without_passwords(traceback)
        return self._end(Fail(outcome, message, traceback), patience_seconds)

    def release(
        self, outcome: str = "interrupted", patience_seconds: float | None = None
    ) -> Sealed | None:
        """Give the run back to the queue, likewise."""
        return self._end(Release(outcome), patience_seconds)

    def close(self) -> None:
        """Stop recording; what the database does not have stays in the spool.

        It is tried until then to record what is sealed.
        """
        self._outbox.close()

    def _wait_for_room(self) -> None:
        outbox = self._outbox
        if outbox.waiting_bytes < self._limit:
            return
        waiting = size_text(outbox.waiting_bytes)
        outbox.tell(f"training waits for the database: {waiting} wait for it in {self.path}")
        outbox.wait_for(lambda: outbox.waiting_bytes < self._limit)
        if isinstance(outbox.fault, DatabaseReplaced):
            raise outbox.fault
        self.check()

    def _end(self, ending: Ending, patience_seconds: float | None = None) -> Sealed | None:
        """Seal the spool and wait for the database; the first ending of several holds."""
        outbox = self._outbox
        seconds = self._patience if patience_seconds is None else patience_seconds
        if outbox.ending is not None:  # what comes now is an interruption of that
            seconds = 0
        elif self._may_be_recorded:
            self._seal(ending)
        outbox.wait_for(lambda: outbox.is_ended, seconds)
        if outbox.away is None:  # many rows may take longer than a person should wait for nothing
            outbox.wait_for(lambda: outbox.is_ended or outbox.away, TAKING * seconds)
        if outbox.is_ended:
            return None
        if self._unsealed is not None and self._may_be_recorded:
            raise self._unsealed
        if self._may_be_recorded:
            return Sealed(self.path, _in_a_line(self.away) if self.away else "it does not answer")
        self._end_without_spool(ending)
        return None

    @property
    def _may_be_recorded(self) -> bool:
        """Whether all of this run may yet get into its database."""
        fault = self._outbox.fault
        return fault is None or isinstance(fault, DatabaseReplaced)

    def _seal(self, ending: Ending) -> None:
        try:
            self._outbox.seal(ending)
        except RunError as error:
            self._unsealed = error

    def _end_without_spool(self, ending: Ending) -> None:
        """Say what a spool cannot: that another process has the run, or that it could not end."""
        fault = self._outbox.fault
        if isinstance(ending, Finish) and fault is not None:
            raise fault
        if isinstance(fault, LeaseLost):
            return
        if record_in(self._store, self.claim, ending, self._declared, self._outbox.cell):
            self._outbox.spool.remove()


def _in_a_line(error: StoreError) -> str:
    """What is wrong and what was found, of an error in five parts, within a part of another."""
    fault, _, more = str(error).partition("\n  found: ")
    found = more.partition("\n  allowed: ")[0]
    return f"{fault} ({found})" if found else " ".join(str(error).split())
