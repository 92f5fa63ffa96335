"""The store as the rest of mmlab sees it: one object, one method for each thing that happens."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Select

from mmlab.metric import Metric
from mmlab.records import (
    Artifact,
    EvaluationResult,
    MetricPoint,
    SkippedSample,
    WantedPictures,
)
from mmlab.store import claims, queue, recall
from mmlab.store.address import check_file, create_file, is_yet_to_be_made, parse_address
from mmlab.store.catalogue import wanted_pictures
from mmlab.store.cells import keep_contents, keep_property, read_contents, read_property
from mmlab.store.engine import Database
from mmlab.store.migrate import check_revision, holds_nothing
from mmlab.store.rows import (
    BestWeights,
    CellClaim,
    CellState,
    Claim,
    Evaluating,
    ImportedRun,
    Part,
    QueuedCell,
    RunDetail,
    RunIdentity,
    RunRow,
    Submission,
)
from mmlab.store.runs import (
    artifact_paths,
    best_weights,
    find_run,
    held_until,
    list_runs,
    lock_done_run,
    present_runs,
    run_detail,
    run_row,
    run_statuses,
    trained_experiments,
)
from mmlab.store.tables import REVISION
from mmlab.store.write import (
    add_imported,
    check_points,
    check_results,
    delete_parts,
    delete_results,
    evaluation_hashes,
    write_artifacts,
    write_points,
    write_result,
    write_skipped,
)

if TYPE_CHECKING:
    from polars import DataFrame


def open_store(url: str, *, create: bool = False) -> Store:
    """The store at a path or URL. StoreError unless it is there and of this program's revision.

    With `create`, a SQLite file that is missing or holds nothing gets its tables first, and
    `Store.is_new` says so; another process may be about to make them, and is waited for. A file
    that this user cannot write is refused then, and read otherwise: `Store.notice`.
    """
    address = parse_address(url)
    if create and is_yet_to_be_made(address):
        create_file(address)
    database = Database(check_file(address))
    try:
        if create:
            database.require_writable()
        is_new = create and database.is_sqlite and holds_nothing(database)
        if is_new:
            _make_tables(database)
        check_revision(database)
    except BaseException:
        database.close()
        raise
    return Store(database, is_new=is_new)


def _may_come_of_damage(error: Exception) -> bool:
    """Whether it is what reading raises of values that nobody stores, not what a person hears."""
    kinds = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
    is_of_frames = type(error).__module__.partition(".")[0] == "polars"
    return is_of_frames or isinstance(error, (*kinds, RecursionError))


def _make_tables(database: Database) -> None:
    # Alembic takes a while to import, and most commands do not need it.
    from mmlab.store.migrate import upgrade_database

    upgrade_database(database)


class Store:
    """An open database. Safe to use from several threads; close it, or use it in a `with`."""

    def __init__(self, database: Database, *, is_new: bool = False) -> None:
        """Take over an open database; `open_store` is the usual way."""
        self._database = database
        self.is_new = is_new

    @property
    def url_display(self) -> str:
        """Where the store is, without any secret."""
        return self._database.address.display

    @property
    def notice(self) -> str | None:
        """What whoever reads must know of how the store is read, in a sentence; mostly None."""
        return self._database.notice

    @property
    def revision(self) -> str:
        """The revision of its schema."""
        return REVISION

    @property
    def runs_folder(self) -> Path:
        """Where runs leave their files: beside a SQLite file, else in the working directory."""
        return self._folder / "mmlab-runs"

    @property
    def cache_folder(self) -> Path:
        """Where features that can be computed again are kept: beside `runs_folder`."""
        return self._folder / "mmlab-cache"

    @property
    def _folder(self) -> Path:
        path = self._database.address.path
        # A link to a file is that file: its weights are found by whatever name it is opened.
        return Path(os.path.realpath(path)).parent if path else Path.cwd()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; an error that nobody expected is explained where the database is damaged."""
        try:
            if isinstance(error, Exception) and _may_come_of_damage(error):
                self._database.require_sound(error)
        finally:
            self.close()

    def with_patience(self, seconds: float) -> Store:
        """The same store, which waits for so long where its database is away; closed with it."""
        return Store(self._database.with_patience(seconds), is_new=self.is_new)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    @property
    def database_id(self) -> str:
        """What tells this database from every other: 32 hexadecimal digits, made with it."""
        return self._database.query(lambda connection: read_property(connection, "id") or "")

    @property
    def runs_token(self) -> str | None:
        """The token in the folder where this database's runs leave files; None if not known."""
        return self._database.query(lambda connection: read_property(connection, "runs_folder"))

    def adopt_runs(self, token: str, *, replace: bool = False) -> str:
        """Keep a folder's token unless there is one, or in its place; the one that holds then."""
        return self._database.transact(
            lambda connection: keep_property(connection, "runs_folder", token, replace=replace)
        )

    # --- the queue of cells -----------------------------------------------------------------

    def submit_cells(self, submissions: Sequence[Submission]) -> list[int]:
        """Put cells into the queue, all or none; their places (`queue.id`), in order.

        A cell that was submitted before keeps its place: it is queued again, unless it is running,
        and while it is open it gets the higher of the two priorities. A rerun always gets a place
        of its own.
        """
        has_reruns = any(one.rerun for one in submissions)
        return self._database.transact(
            lambda connection: queue.submit_cells(connection, submissions),
            queue.confirm_places if has_reruns else None,
        )

    def claim_cell(
        self,
        worker: str,
        lease_seconds: float,
        *,
        among: Collection[int] | None = None,
        without: Collection[int] = (),
    ) -> CellClaim | None:
        """Take the first cell, by priority and place, that is queued or abandoned; None if none is.

        Only of the places `among`, and not of those in `without`. A cell whose `waits_for` has open
        cells is left out; where that has ended, and nothing of it is done, the cell becomes
        blocked, here, with the reason. One that starts from its own experiment does not wait.
        """
        return self._database.transact(
            lambda connection: queue.claim_cell(connection, worker, lease_seconds, among, without),
            queue.confirm,
        )

    def renew_cell(self, cell: CellClaim, lease_seconds: float | None = None) -> bool:
        """Extend the lease from now on; False if the cell is another's by now, or cancelled."""
        return self._database.transact(
            lambda connection: queue.renew_cell(
                connection, cell, lease_seconds or cell.lease_seconds
            )
        )

    def give_back(self, cell: CellClaim, reason: str | None = None) -> bool:
        """Put a cell back into its place, untouched; False if it is another's by now."""
        return self._database.transact(
            lambda connection: queue.give_back(connection, cell, self._clean(reason))
        )

    def end_cell(
        self,
        cell: CellClaim,
        status: str,
        *,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> bool:
        """Let go of a cell that is done, failed, cancelled or blocked; False if it is another's.

        `run_id` is the run it is. Blocked cells that wait for its experiment are queued again if a
        run of that is done.
        """
        reason = self._clean(reason)

        def work(connection: Connection) -> bool:
            queue.prepare_end(connection, cell)
            return queue.end_cell(connection, cell, status, run_id, reason)

        return self._database.transact(work)

    def died(
        self,
        cell: CellClaim,
        claim: Claim | None,
        signature: str,
        message: str,
        traceback: str = "",
        *,
        max_attempts: int,
        outcome: str = "died",
    ) -> bool:
        """Note that the process of a cell died, and queue it again; True if it is failed instead.

        That is so once `max_attempts` deaths in a row had the same `signature`: an exit code or a
        signal, say. Leases that ran out do not count. `claim` is the run, if it had begun: its
        attempt ends with `outcome`, which is "timeout" for a process that was ended for its time.
        False, and nothing is written, if the cell is another's by now.
        """
        message, traceback = self._redact(message), self._redact(traceback)
        said = (outcome, signature, message, traceback, max_attempts)

        def work(connection: Connection) -> bool:
            queue.prepare_end(connection, cell)
            return claims.died(connection, cell, claim, *said)

        return self._database.transact(
            work, lambda connection, given: queue.has_failed(connection, cell)
        )

    def cell_states(self, ids: Collection[int]) -> dict[int, CellState]:
        """How the cells at these places of the queue stand."""
        return self._database.query(lambda connection: queue.cell_states(connection, ids))

    def queued_cells(self, experiment: str | None = None) -> list[QueuedCell]:
        """The cells that are queued, running or blocked, in the order in which they are claimed."""
        return self._database.query(lambda connection: queue.queued_cells(connection, experiment))

    def retry(self, names: Sequence[str]) -> list[CellState]:
        """Put failed and cancelled runs into the queue again, and blocked cells; their places.

        A name is an experiment (its present version), @last or the start of a run's id. All names
        or none: raises UsageError where one stands for nothing of that kind.
        """
        return self._database.transact(
            lambda connection: recall.retry(connection, names), recall.confirm_retried
        )

    def cancel(self, names: Sequence[str]) -> list[CellState]:
        """Cancel what is queued, running or blocked; names as in `retry`, and what was cancelled.

        Whoever executes one of them loses its lease.
        """
        return self._database.transact(
            lambda connection: recall.cancel(connection, names), recall.confirm_cancelled
        )

    def is_cancelled(self, run_id: str) -> bool:
        """Whether somebody has cancelled a run, and nobody has claimed it since."""
        return self._database.query(lambda connection: claims.is_cancelled(connection, run_id))

    @property
    def _redact(self) -> Callable[[str], str]:
        return self._database.address.redact

    def _without_passwords(self, skipped: Sequence[SkippedSample]) -> list[SkippedSample]:
        """A dataset's words on what it could not read may name the database."""
        return [changed(sample, reason=self._redact(sample.reason)) for sample in skipped]

    def _clean(self, reason: str | None) -> str | None:
        return None if reason is None else self._redact(reason)

    # --- executing runs ---------------------------------------------------------------------

    def submit(
        self, identity: RunIdentity, *, rerun: bool = False, cell: CellClaim | None = None
    ) -> RunRow:
        """The run of a cell: the one that is there, or a new one in the queue.

        With `rerun` always a new one, the next replicate. Of several replicates, a done one.
        With a claimed `cell` the run is kept as what it became: claimed again it is that run, also
        for a rerun, unless its identity has changed. Raises LeaseLost if it is another process's.
        """
        rerun = rerun or (cell is not None and cell.queued.rerun)
        new_id = uuid.uuid4().hex
        return self._database.transact(
            lambda connection: claims.submit(connection, identity, new_id, rerun=rerun, cell=cell),
            lambda connection, run: run_row(connection, run.run_id) if rerun else None,
        )

    def keep_contents(self, contents: Mapping[str, str]) -> None:
        """Keep the values that hashes stand for, JSON texts by hash."""
        self._database.transact(lambda connection: keep_contents(connection, contents))

    def claim(
        self,
        run_id: str,
        worker: str,
        lease_seconds: float,
        provenance: Mapping[str, object] | None = None,
        cell: CellClaim | None = None,
    ) -> Claim | None:
        """Take a run that is queued, failed or abandoned; None where another process has it.

        A cancelled run is taken only for a `cell`, whose claim must hold: it was asked for again.
        `provenance` replaces the run's. The curves of a former attempt are there until `rewind`.
        """
        given = (run_id, worker, lease_seconds, provenance or {}, cell)
        return self._database.transact(
            lambda connection: claims.claim(connection, *given),
            claims.confirm,
        )

    def rewind(self, claim: Claim, step: int) -> None:
        """Remove the points of curves after this step: training goes on from there, or 0.

        Raises LeaseLost, and removes nothing, if the run is another process's.
        """
        self._database.transact(lambda connection: claims.rewind(connection, claim, step))

    def renew(self, claim: Claim, lease_seconds: float, cell: CellClaim | None = None) -> bool:
        """Extend the lease from now on; False if the run is another process's by now.

        With `cell` also the lease of the cell in the queue; False if one of the two is void.
        """
        return self._database.transact(
            lambda connection: claims.renew(connection, claim, lease_seconds, cell)
        )

    def release(
        self, claim: Claim, outcome: str = "interrupted", cell: CellClaim | None = None
    ) -> bool:
        """Put the run back into the queue; False if it is another process's by now.

        With `cell` that goes back to its place, too.
        """
        return self._database.transact(
            lambda connection: claims.release(connection, claim, outcome, cell)
        )

    def fail(
        self,
        claim: Claim,
        outcome: str,
        message: str,
        traceback: str,
        cell: CellClaim | None = None,
    ) -> bool:
        """Mark the run failed, and why; False if it is another process's by now.

        `outcome` is one of `mmlab.store.tables.OUTCOMES`. No password of a database is kept.
        With `cell` that is failed, too.
        """
        message, traceback = self._redact(message), self._redact(traceback)

        def work(connection: Connection) -> bool:
            if cell is not None:
                queue.prepare_end(connection, cell)
            return claims.fail(connection, claim, outcome, message, traceback, cell)

        return self._database.transact(work)

    def record_points(
        self, claim: Claim, points: Sequence[MetricPoint], declared: Sequence[Metric] = ()
    ) -> None:
        """Add points of training curves, replacing those of the same name and step.

        `declared` says what they are, in the order in which curves are shown.
        Renews the lease. Raises LeaseLost, and writes nothing, if the run is another process's.
        """
        check_points(points)

        def work(connection: Connection) -> None:
            claims.guard(connection, claim)
            write_points(connection, claim.run_id, points, declared)

        self._database.transact(work)

    def finish(
        self,
        claim: Claim,
        evaluations: Sequence[EvaluationResult],
        hashes: Mapping[str, str],
        artifacts: Sequence[Artifact] = (),
        summary: Mapping[str, object] | None = None,
        step: int | None = None,
        skipped: Sequence[SkippedSample] = (),
        cell: CellClaim | None = None,
    ) -> None:
        """Record everything final and mark the run done, all in one transaction or nothing.

        `hashes` are the evaluations' identities by name; `step` is that of the evaluated weights;
        `skipped` are samples that could not be read. With `cell` that is done, too.
        Raises LeaseLost if the run is another process's. Once recorded, a repetition does nothing.
        """
        check_results(evaluations)

        def work(connection: Connection) -> None:
            if claims.is_completed(connection, claim):
                return
            if cell is not None:
                queue.prepare_end(connection, cell)
            claims.guard(connection, claim, cell)
            delete_results(connection, claim.run_id)
            for result in evaluations:
                identity = hashes[result.name]
                write_result(connection, claim.run_id, result, identity, step)
            write_artifacts(connection, claim.run_id, artifacts)
            write_skipped(connection, claim.run_id, self._without_passwords(skipped))
            claims.complete(connection, claim, summary or {}, cell)

        self._database.transact(work)

    def add_evaluations(
        self,
        run_id: str,
        evaluations: Sequence[EvaluationResult],
        hashes: Mapping[str, str],
        step: int | None = None,
        skipped: Sequence[SkippedSample] = (),
    ) -> None:
        """Add evaluations to a done run; those it has already, by identity, stay as they are."""
        check_results(evaluations)

        def work(connection: Connection) -> None:
            lock_done_run(connection, run_id)
            known = evaluation_hashes(connection, run_id)
            for result in evaluations:
                identity = hashes[result.name]
                if identity not in known:
                    write_result(connection, run_id, result, identity, step)
            write_skipped(connection, run_id, self._without_passwords(skipped))
            delete_parts(connection, run_id, set(hashes.values()))

        self._database.transact(work)

    def add_imported(self, imported: Sequence[ImportedRun]) -> int:
        """Add results of other tools, all or none; returns how many were not there yet."""
        check_results([result for run in imported for _, result in run.evaluations])
        counts: list[int] = []

        def work(connection: Connection) -> None:
            counts.append(add_imported(connection, imported))

        self._database.transact(work)
        # All or none: where a repetition finds nothing to add, the try before has added them.
        return next(filter(None, reversed(counts)), 0)

    def remove_imported(self, names: Sequence[str], *, dry_run: bool = False) -> list[RunRow]:
        """Delete imported runs, all or none, and return them; with `dry_run` return them only.

        Samples and labels stay, which other runs may have. Raises UsageError where a name stands
        for no imported run, or for one that was executed here.
        """
        from mmlab.store import removal  # only `mmlab import remove` asks for it

        found = self._database.query(lambda connection: removal.imported_runs(connection, names))
        ids = [row.run_id for row in found]
        if not dry_run:
            self._database.transact(lambda connection: removal.remove_runs(connection, ids))
        return found

    # --- evaluations that are under way -----------------------------------------------------

    def parts(self, run_id: str, evaluation: str) -> list[Part]:
        """The parts of an evaluation that is not recorded yet, the first of each work in front."""
        from mmlab.store import parts  # only where an evaluation takes long

        return self._database.query(
            lambda connection: parts.list_parts(connection, run_id, evaluation)
        )

    def claim_part(self, who: Evaluating, asked: Part) -> Part | None:
        """Take a part; None where it is done, or another process is at it.

        Raises LeaseLost if the run is another process's.
        """
        from mmlab.store import parts

        return self._database.transact(
            lambda connection: parts.claim_part(connection, who, asked),
            lambda connection, gave: gave if parts.is_held(connection, who, gave) else None,
        )

    def finish_part(self, who: Evaluating, made: Part) -> bool:
        """Mark a part as done, with its file; False if another process has claimed it since.

        Raises LeaseLost if the run is another process's.
        """
        from mmlab.store import parts

        return self._database.transact(
            lambda connection: parts.finish_part(connection, who, made),
            lambda connection, gave: (gave and parts.is_finished(connection, who, made)) or None,
        )

    def drop_part(self, who: Evaluating, part: Part) -> None:
        """Forget a part whose file is of no use, unless it was claimed since."""
        from mmlab.store import parts

        self._database.transact(lambda connection: parts.drop_part(connection, who, part))

    def evaluated_runs(self) -> set[str]:
        """Runs of which a process makes a part of an evaluation at this moment."""
        from mmlab.store import parts

        with self._database.read() as connection:
            return parts.live_parts(connection)

    def grants(self, role: str) -> str:
        """The SQL that lets a role of a Postgres server read every view, and nothing else.

        Raises UsageError for a SQLite file, which has no roles.
        """
        from mmlab.store.grants import grants  # only `mmlab db grants` asks for it

        return self._database.query(lambda connection: grants(connection, role))

    # --- reading ----------------------------------------------------------------------------

    def contents(self, hashes: Collection[str]) -> dict[str, str]:
        """The values that hashes stand for, JSON texts by hash, of those that are kept."""
        return self._database.query(lambda connection: read_contents(connection, hashes))

    def wanted_pictures(
        self, dataset_revision: str, split: str, ids: Sequence[str]
    ) -> WantedPictures:
        """Those of some samples, by the dataset's ids, that have no picture and would keep one."""
        asked = dataset_revision, split, ids
        return self._database.query(lambda connection: wanted_pictures(connection, *asked))

    def evaluation_hashes(self, run_id: str) -> set[str]:
        """Identities of the evaluations that a run has."""
        return self._database.query(lambda connection: evaluation_hashes(connection, run_id))

    def runs(
        self, *, experiment: str | None = None, status: str | None = None, limit: int | None = None
    ) -> list[RunRow]:
        """Runs, newest first."""
        return self._database.query(
            lambda connection: list_runs(connection, experiment, status, limit)
        )

    def find_run(self, name: str) -> RunRow:
        """The run meant by @last, the start of an id, or an experiment's name (its newest run).

        Raises UsageError when there is none, or several.
        """
        return self._database.query(lambda connection: find_run(connection, name))

    def run_row(self, run_id: str) -> RunRow | None:
        """The run of this id, if the database knows it."""
        return self._database.query(lambda connection: run_row(connection, run_id))

    def run_detail(self, run_id: str) -> RunDetail:
        """All about one run: spec, provenance, attempts, evaluations with metrics, files."""
        return self._database.query(lambda connection: run_detail(connection, run_id))

    def present_runs(self, name: str) -> list[str]:
        """Ids of the runs of an experiment's present version, or of the run of this id."""
        return self._database.query(lambda connection: present_runs(connection, name))

    def are_running(self, run_ids: Collection[str]) -> bool:
        """Whether a process is executing one of these runs at this moment."""
        return self.held_until(run_ids) is not None

    def held_until(self, run_ids: Collection[str]) -> datetime | None:
        """When the last lease of these runs ends (UTC), unless renewed; None if nobody has one."""
        return self._database.query(lambda connection: held_until(connection, run_ids))

    def best_weights(self, run_ids: Collection[str]) -> list[BestWeights]:
        """Best weights of those of these runs that are done, newest first."""
        return self._database.query(lambda connection: best_weights(connection, run_ids))

    def trained_experiments(self) -> list[str]:
        """The experiments of which a run is done and has weights, in order of their names."""
        return self._database.query(lambda connection: trained_experiments(connection))

    def run_statuses(self) -> dict[str, str]:
        """The status of every run, by id."""
        return self._database.query(lambda connection: run_statuses(connection))

    def artifact_paths(self) -> set[str]:
        """Every file that a run names, relative to the folder of runs."""
        return self._database.query(lambda connection: artifact_paths(connection))

    # A query of whatever columns.
    def frame(self, query: Select[Any] | str, schema: Mapping[str, Any] | None = None) -> DataFrame:
        """Rows as a Polars frame, equal on both databases, dtypes included.

        A query over the store's tables and views knows its dtypes; a text needs a `schema`.
        """
        from mmlab.store.read import read_frame

        return read_frame(self._database, query, schema)
