"""A claimed cell and its run, as the process that holds the database keeps them: lease and records.

A thread renews the lease for as long as the cell is executed, here or in another process. Nothing
here needs torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from mmlab.errors import RunError, StoreError, explain
from mmlab.metric import Metric
from mmlab.plugin import Split
from mmlab.records import Artifact, EvaluationResult, Progress, SkippedSample, WantedPictures
from mmlab.runner.coordinator import Display
from mmlab.runner.leftovers import clear_leftovers
from mmlab.runner.runs_folder import RunsFolder
from mmlab.runner.sync import replay
from mmlab.runner.writer import RunWriter, Sealed
from mmlab.store import (
    BestWeights,
    CellClaim,
    Claim,
    Evaluating,
    Part,
    RunDetail,
    RunIdentity,
    RunRow,
    Store,
    StoreAway,
)

#: A run whose process died is taken up by others after this long.
LEASE_SECONDS = 60.0
#: Whoever must be sure of its lease waits no longer for a server that does not answer.
ANSWER_SECONDS = 5.0
#: Of a process that died, so long is waited until the database has its curves.
_LET_GO_SECONDS = 5.0


class Lease:
    """Claims that are being renewed: of a cell, and of the run that it is once that is claimed."""

    def __init__(self, store: Store, seconds: float, cell: CellClaim | None = None) -> None:
        self.store = store.with_patience(0)  # nobody waits for it
        self.seconds = seconds
        self.cell = cell
        self.run: Claim | None = None
        self._is_lost = threading.Event()
        self._is_ending = False
        #: Renewals that were asked for at once, and of those that are made what came of the last.
        self._asked = self._made = 0
        self._found: bool | StoreError = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._keep, name="mmlab-lease", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken over what was claimed, or someone cancelled it."""
        return self._is_lost.is_set()

    def check(self) -> None:
        """Raise RunError once the claim is void: "lost", or "cancelled" where someone did that."""
        if self.is_lost:
            raise self.loss()

    def loss(self) -> RunError:
        """Why the claim is void."""
        if self.run is not None and self.store.is_cancelled(self.run.run_id):
            return RunError(_cancelled(self.run.run_id), "cancelled")
        return RunError(_taken_over(self.run), "lost")

    def hold(self) -> bool:
        """Renew now, before files are written; False where the database is away or does not answer.

        Raises as `check` does. Nobody waits twice for an answer that does not come.
        """
        self.check()
        with self._changed:
            is_overdue = self._made < self._asked
            self._asked += 1
            self._changed.notify_all()
            wanted, seconds = self._asked, 0 if is_overdue else ANSWER_SECONDS
            is_made = self._changed.wait_for(lambda: self._made >= wanted, seconds)
            found = self._found
        self.check()
        if is_made and isinstance(found, StoreError) and not isinstance(found, StoreAway):
            raise found
        return is_made and found is True  # else whether it is lost shows when the database is back

    def __enter__(self) -> Lease:
        """Begin to renew, in a thread."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop renewing and wait for the thread, unless it waits for a server without an answer."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
        self._thread.join(ANSWER_SECONDS)

    def _renew(self) -> bool:
        if self.run is not None:
            return self.store.renew(self.run, self.seconds, self.cell)
        return self.cell is None or self.store.renew_cell(self.cell)

    def _keep(self) -> None:
        while (asked := self._wait()) is not None:
            try:
                found: bool | StoreError = self._renew()
            except StoreError as fault:
                # The database is away; whether the run is lost shows when it is back.
                found = fault
            if found is False:
                self._is_lost.set()
            with self._changed:
                self._made, self._found = asked, found
                self._changed.notify_all()
            if found is False:
                return

    def _wait(self) -> int | None:
        """How many renewals were asked for, once one is or it is time; None at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_ending or self._made < self._asked, self.seconds / 4
            )
            return None if self._is_ending else self._asked


class StoreCoordinator:
    """The coordinator of one cell, over an open store. See `mmlab.runner.coordinator`.

    `cell` is its claim in the queue; None for a run that is evaluated without being queued.
    `runs_of` gives the runs of an experiment's present version, the store's unless given.
    """

    def __init__(
        self,
        store: Store,
        runs: RunsFolder,
        worker: str,
        display: Display,
        *,
        lease_seconds: float = LEASE_SECONDS,
        cell: CellClaim | None = None,
        runs_of: Callable[[str], list[str]] | None = None,
    ) -> None:
        self.store = store
        self.runs = runs
        self.runs_of = runs_of or store.present_runs
        self.worker = worker
        self.display = display
        self.cell = cell
        self.lease = Lease(store, lease_seconds, cell)
        self.wanted: Mapping[str, str] = {}
        self.writer: RunWriter | None = None
        self.is_recorded = False

    @property
    def is_lost(self) -> bool:
        """Whether the claim is known to be void, by its lease or by what could not be written."""
        return self.lease.is_lost or (self.writer is not None and self.writer.is_lost)

    def __enter__(self) -> StoreCoordinator:
        """Begin to renew the lease."""
        self.lease.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End that; what the database does not have stays in the spool."""
        if self.writer is not None:
            self.writer.close()
        self.lease.__exit__()

    def note(self, text: str) -> None:
        """Show a line."""
        self.display.note(text)

    # --- what is stored ---------------------------------------------------------------------

    def contents(self, hashes: Sequence[str]) -> dict[str, str]:
        """The values that hashes stand for, JSON texts by hash, of those that are kept."""
        return self.store.contents(hashes)

    def keep_contents(self, contents: Mapping[str, str]) -> None:
        """Keep the values that hashes stand for."""
        self.store.keep_contents(contents)

    def evaluation_hashes(self, run_id: str) -> list[str]:
        """Identities of the evaluations that a run has."""
        return sorted(self.store.evaluation_hashes(run_id))

    def run_detail(self, run_id: str) -> RunDetail:
        """All about one run."""
        return self.store.run_detail(run_id)

    def present_runs(self, name: str) -> list[str]:
        """Ids of the runs of an experiment's present version, or of the run of this id."""
        return self.runs_of(name)

    def are_running(self, run_ids: Sequence[str]) -> bool:
        """Whether a process is executing one of these runs at this moment."""
        return self.store.are_running(run_ids)

    def best_weights(self, run_ids: Sequence[str]) -> list[BestWeights]:
        """Best weights of those of these runs that are done, newest first."""
        return self.store.best_weights(run_ids)

    def trained_experiments(self) -> list[str]:
        """The experiments of which a run is done and has weights."""
        return self.store.trained_experiments()

    def wanted_pictures(
        self, dataset_revision: str, split: Split, ids: Sequence[str]
    ) -> WantedPictures:
        """Which of some samples have no small picture and would keep one; none if it is away."""
        try:
            return self.store.with_patience(0).wanted_pictures(dataset_revision, split, ids)
        except StoreError:  # no result waits for a picture
            return WantedPictures((), 0)

    # --- a cell becomes a run ---------------------------------------------------------------

    def submit(self, identity: RunIdentity) -> RunRow:
        """The run that the cell is, a new one unless it is there."""
        rerun = self.cell is not None and self.cell.queued.rerun
        return self.store.submit(identity, rerun=rerun, cell=self.cell)

    def claim(
        self,
        run_id: str,
        provenance: Mapping[str, object],
        wanted: Mapping[str, str],
        declared: Sequence[Metric],
    ) -> Claim | None:
        """Take the run; None where another process has it, or what it left shows it done."""
        self.runs.adopt()  # first: where no file can be left, nothing is claimed
        claim = self.store.claim(
            run_id, self.worker, self.lease.seconds, provenance, cell=self.cell
        )
        if claim is None:
            return None
        self.lease.run, self.wanted = claim, wanted
        database = self.store.database_id
        if replay(self.store, claim, self.runs.path, self.note, database):
            return None
        clear_leftovers(self.runs.path / run_id, claim.fence)
        self.writer = RunWriter(
            self.store,
            claim,
            self.runs.path,
            declared,
            self.note,
            database=database,
            cell=self.cell,
        )
        return claim

    # --- the claimed run --------------------------------------------------------------------

    def hold(self) -> bool:
        """Be sure of the lease, and that nothing told until now can be lost; False if away."""
        is_sure = self.lease.hold()
        if self.writer is not None:
            self.writer.hold()
        return is_sure

    def rewind(self, step: int) -> None:
        """Training goes on from this step: remove what a former attempt left of curves after it."""
        self._writer.rewind(step)

    def progress(self, progress: Progress) -> None:
        """Keep the points of an emission and show where training stands."""
        self.lease.check()
        self._writer.points(progress.points)
        self.display.progress(progress)

    def finish(
        self,
        results: Sequence[EvaluationResult],
        artifacts: Sequence[Artifact],
        summary: Mapping[str, object],
        best_step: int | None,
        skipped: Sequence[SkippedSample],
    ) -> bool:
        """Record everything final, and that the run is done, in one transaction."""
        self.lease.check()
        final = (results, self.wanted, artifacts, summary, best_step, skipped)
        is_kept = self._told(self._writer.finish(*final))
        self.is_recorded = True
        return is_kept

    def fail(self, outcome: str, message: str, traceback: str) -> None:
        """Record that the run failed, and why, with the points of its curves until then."""
        self._told(self._writer.fail(outcome, message, traceback))

    def release(self, patience_seconds: float | None = None) -> None:
        """Put the run back into the queue: it was interrupted."""
        self._told(self._writer.release(patience_seconds=patience_seconds))

    def set_aside(self) -> None:
        """Put the run back into the queue of a database that was deleted, once that is back."""
        self.release()

    def add_evaluations(
        self,
        run_id: str,
        results: Sequence[EvaluationResult],
        wanted: Mapping[str, str],
        best_step: int | None,
        skipped: Sequence[SkippedSample],
    ) -> None:
        """Add evaluations to a done run."""
        self.store.add_evaluations(run_id, results, wanted, best_step, skipped)

    # --- parts of evaluations that take long ------------------------------------------------

    def parts(self, run_id: str, evaluation: str) -> list[Part]:
        """Those of an evaluation, work by work, the first in front."""
        return self._impatient.parts(run_id, evaluation)

    def claim_part(self, run_id: str, asked: Part) -> Part | None:
        """Take a part; None where it is done, or another process is at it."""
        return self._impatient.claim_part(self._evaluating(run_id), asked)

    def finish_part(self, run_id: str, made: Part) -> bool:
        """Mark a claimed part as done; False if another process has claimed it since."""
        return self._impatient.finish_part(self._evaluating(run_id), made)

    def drop_part(self, run_id: str, part: Part) -> None:
        """Forget a part whose file is of no use."""
        self._impatient.drop_part(self._evaluating(run_id), part)

    @property
    def _impatient(self) -> Store:
        return self.store.with_patience(0)  # what is not kept is made again, if ever

    def _evaluating(self, run_id: str) -> Evaluating:
        run = self.lease.run
        claim = run if run is not None and run.run_id == run_id else None
        return Evaluating(run_id, self.worker, self.lease.seconds, claim)

    def let_go(self) -> None:
        """Let the database have what the spool has of curves; what it does not take stays there."""
        if self.writer is not None:
            self.writer.wait(_LET_GO_SECONDS)
            self.writer.close()

    @property
    def _writer(self) -> RunWriter:
        assert self.writer is not None, "only asked for once a run is claimed"
        return self.writer

    def _told(self, sealed: Sealed | None) -> bool:
        """Whether the database has all; where it must wait, that is said."""
        if sealed is not None:
            self.display.note(str(sealed))
        return sealed is None


def _taken_over(run: Claim | None) -> str:
    return explain(
        f"run {run.run_id}" if run else "a cell of the queue",
        "another process has taken it over",
        found="the lease was not renewed in time (was this process suspended?)",
        allowed="one process a run; nothing was written after the takeover",
        next_step="leave the run to the other process, or run again when it has ended",
    )


def _cancelled(run_id: str) -> str:
    return explain(
        f"run {run_id}",
        "it was cancelled while it was executed",
        found="mmlab cancel",
        allowed="its checkpoints are kept",
        next_step=f"put it back into the queue: mmlab retry {run_id[:8]}",
    )
