"""From a queued cell to a stored run: the straight line that the execution of every cell walks.

    cell -> plan -> identify -> claim -> build -> train -> evaluate -> record

Read `CellRunner.run` first, then `CellExecutor.execute` in `mmlab.runner.execute`. The database is
reached through the coordinator alone, which may be in another process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from mmlab.data.skipped import describe_skipped
from mmlab.data.splits import Splits
from mmlab.errors import GroupError, StoreError, explain, message_of, traceback_of
from mmlab.hashing import canonical_json, digest
from mmlab.model.build import InitialWeights
from mmlab.model.device import determinism, resolve_device
from mmlab.model.weights import WeightsReader
from mmlab.model.width import WidthMatcher
from mmlab.plan.component import is_device_lost
from mmlab.plan.content import Content, differences, hashed, whole
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import check_machine, plan_specs, prepare, weights_needed
from mmlab.records import cell_name
from mmlab.runner.cells import describe_run, read_cell, write_cell
from mmlab.runner.checkpoints import Checkpoints
from mmlab.runner.coordinator import (
    Coordinator,
    Ended,
    ExecutionOptions,
    Notes,
    Prepared,
    PreparedCell,
)
from mmlab.runner.execute import CellExecutor
from mmlab.runner.follow import Assignment
from mmlab.runner.identity import Confirmer, describe_training, hash_cell, list_differences
from mmlab.runner.initial_weights import BeingTrained, WeightsFinder, weights_of_files
from mmlab.runner.kept import FeatureCache
from mmlab.runner.load import rebuild
from mmlab.runner.provenance import (
    RAISED,
    describe_computation,
    describe_failure,
    describe_origin,
    outcome_of,
)
from mmlab.runner.record import RunRecord, curve_metrics, write_scores
from mmlab.runner.score import PartsOfRun
from mmlab.runner.surroundings import Surroundings
from mmlab.spec import Override
from mmlab.store import CellRow, DatabaseReplaced, LeaseLost, QueuedCell, RunRow
from mmlab.train.processes import ProcessGroup, require_equal, vote
from mmlab.train.torchrun import local_rank


class CellRunner:
    """One process that executes cells, one after the other, and remembers the data it has read."""

    def __init__(self, device: str, group: ProcessGroup | None = None) -> None:
        self.group = group or ProcessGroup()
        self.device = resolve_device(device, local_rank())
        self.note: Callable[[str], None] = lambda text: None
        self.splits = Splits(self._say)
        self.matcher = WidthMatcher(self.splits)
        self.registry = Registry.discover(BUILTINS)
        self._prepared: dict[str, Plan] = {}
        self._lost_device: str | None = None

    # --- what a command asks ----------------------------------------------------------------

    def prepare(
        self, specs: Sequence[Path], overrides: Sequence[Override], notes: Notes
    ) -> Prepared:
        """Read and check specs, and say of each cell what it is as far as that is known by now."""
        return self.submission(plan_specs(specs, overrides), notes)

    def submission(self, plans: Sequence[Plan], notes: Notes) -> Prepared:
        """Plans as they are submitted. They are remembered: their messages know lines of files."""
        self.note = notes.note
        cells, contents, files = [], dict[str, str](), WeightsReader()
        for plan in plans:
            row, asked_hash = write_cell(plan), None
            self._prepared[_key(row)] = plan
            try:
                asked = self._asked(plan, weights_of_files(plan, files))
            except KeyboardInterrupt:
                raise
            except RAISED:  # what is wrong is told when the cell is executed
                asked = None
            if asked is not None:
                asked_hash = digest(hashed(asked))
                contents[asked_hash] = canonical_json(whole(asked))
            cells.append(PreparedCell(row, sorted(weights_needed(plan)), asked_hash))
        return Prepared(cells, contents)

    def begin(self, options: ExecutionOptions) -> None:
        """Learn how cells are to be executed, before the first is."""
        self.options = options
        cache = FeatureCache(Path(options.cache), self._say) if options.cache else None
        self.executor = CellExecutor(self.splits, self.device, self.group, self._say, cache)

    def execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        """Execute a claimed cell. Raises StoreError and GroupError: no other could be, either."""
        before = Surroundings.now()
        ended = self._attempt(queued, coordinator)
        changes = before.changes()
        if self._lost_device is not None:  # another process may use it, or another device
            changes.append(f"the device: {self._lost_device}")
        return replace(ended, left_behind=changes)

    def ask_to_stop(self) -> None:
        """Interrupt what this process is executing; training ends its step first."""
        raise KeyboardInterrupt

    def kill(self) -> None:
        """Interrupt it at once."""
        raise KeyboardInterrupt

    # --- one cell ---------------------------------------------------------------------------

    def attempt(self, plan: Plan, execute: Callable[[Plan], Ended]) -> Ended:
        """Execute a cell; an error before its run is claimed fails this cell alone.

        Raises StoreError and GroupError: no other cell could be executed either.
        """
        try:
            return execute(plan)
        except KeyboardInterrupt:
            return Ended("interrupted")
        except (StoreError, GroupError):
            raise
        except RAISED as fault:  # whatever a component raises, the other cells go on
            return Ended("failed", error=self._describe(fault, plan))

    def _attempt(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        plan = self._prepared.get(_key(queued.cell))
        # What this process has submitted itself is what is here.
        asked_hash = queued.asked_hash if plan is None else None
        try:
            plan = plan or self._stored(queued)
        except KeyboardInterrupt:
            return Ended("interrupted")
        except RAISED as fault:
            return Ended("failed", error=message_of(fault))
        return self.attempt(plan, partial(self.run, coordinator, asked_hash))

    def _stored(self, queued: QueuedCell) -> Plan:
        """The plan of a cell that another process has submitted, perhaps on a larger machine."""
        plan = prepare(read_cell(queued.cell), self.registry)
        check_machine(plan, self.registry)
        return plan

    def run(self, coordinator: Coordinator, asked_hash: str | None, plan: Plan) -> Ended:
        """Identify a cell, claim its run, produce what is missing, and record it."""
        self.note = coordinator.note
        self.splits.look_anew()
        asked, plan = plan, self.matcher.match(plan)
        weights = WeightsFinder(coordinator, Path(self.options.runs), self.executor.files)
        try:
            initial = weights.find(plan)
        except BeingTrained as reason:
            self.note(str(reason))
            return Ended("held")
        if other := self._differs(asked, initial, coordinator, asked_hash):
            return Ended("given back", error=other)
        revisions = self.splits.revisions(plan)
        confirmer = Confirmer(coordinator, self.note)
        hashes = confirmer.cell(plan, describe_training(plan, revisions, initial))
        wanted = confirmer.evaluations(plan, hashes.train, self.splits)
        self._tell_skipped(plan)
        self.splits.compare(plan)
        confirmer.keep()
        row = coordinator.submit(describe_run(asked, plan, hashes, initial))
        if row.status == "done":
            return self.add_evaluations(plan, row, wanted, coordinator)
        origin = {
            **describe_origin(plan, self.device, self.executor.precision(plan)),
            "data": revisions,
        }
        checkpoints = self._checkpoints(plan, row, origin, coordinator)
        claim = coordinator.claim(row.run_id, origin, wanted, curve_metrics(plan))
        if claim is None:
            status = coordinator.run_detail(row.run_id).run.status
            return Ended("skipped" if status == "done" else "held", row.run_id)
        spec, index = str(plan.cell.source.path), plan.cell.index
        plain = hash_cell(plan, revisions, initial)  # as processes know it that have no store
        assignment = Assignment(spec, index, plain.train, initial, tuple(wanted))
        parts = self.splits.skipped(plan), checkpoints
        record = RunRecord(coordinator, Path(self.options.runs), claim, wanted, *parts)
        return self._lead(plan, assignment, record)

    def add_evaluations(
        self, plan: Plan, row: RunRow, wanted: Mapping[str, str], coordinator: Coordinator
    ) -> Ended:
        """Evaluate a done run where its spec asks for what it has not been asked before."""
        known = set(coordinator.evaluation_hashes(row.run_id))
        missing = {name: identity for name, identity in wanted.items() if identity not in known}
        if not missing:
            return Ended("skipped", row.run_id)
        self.note, runs = coordinator.note, Path(self.options.runs)
        detail = coordinator.run_detail(row.run_id)
        built = rebuild(plan, detail, coordinator, runs, self.splits)
        built.step.to(self.device)
        evaluation = self.executor.evaluation(built, coordinator.wanted_pictures)
        evaluation.check(missing)
        table = plan.cell.spec.train
        parts = PartsOfRun(coordinator, runs, row.run_id, missing)
        with determinism(table is not None and table.deterministic):
            results = list(evaluation.evaluate(missing, parts=parts))
        results = write_scores(runs, row.run_id, results, missing)
        step = cast(int | None, detail.summary.get("best_step"))
        skipped = self.splits.skipped(plan)
        coordinator.add_evaluations(row.run_id, results, missing, step, skipped)
        parts.clear()
        return Ended("evaluated", row.run_id)

    def _lead(self, plan: Plan, assignment: Assignment, record: RunRecord) -> Ended:
        """Execute a claimed run with the group. Raises GroupError where that cannot go on."""
        self.group.broadcast(assignment.to_json())
        try:
            ended = self._record(plan, assignment, record)
        except BaseException:
            self.group.leave("the main process was stopped")
            raise
        if ended.status == "interrupted":
            self.group.leave("the main process was stopped")
        else:
            vote(self.group, ended.error)
        return ended

    def _record(self, plan: Plan, assignment: Assignment, record: RunRecord) -> Ended:
        """Produce a claimed run's results and store them, or store why not."""
        coordinator, run_id = record.coordinator, record.claim.run_id
        try:
            require_equal(self.group, assignment.train_hash)
            record.begin()
            self.executor.execute(plan, assignment.initial, assignment.wanted, record)
        except KeyboardInterrupt:
            coordinator.release()
            return Ended("interrupted", run_id)
        except LeaseLost as error:
            return Ended("failed", run_id, str(error))
        except DatabaseReplaced:  # which is no fault of the run: put back, it goes on
            with suppress(StoreError):
                coordinator.set_aside()
            raise
        except StoreError as error:
            with suppress(StoreError):  # it may be too broken to say so
                coordinator.fail("error", str(error), traceback_of(error))
            raise
        except RAISED as error:  # whatever a component raises, the run is stored as failed
            message = self._describe(error, plan)
            coordinator.fail(outcome_of(error), message, traceback_of(error))
            return Ended("failed", run_id, message)
        finally:
            record.end()
        return Ended("done", run_id)

    def _describe(self, error: BaseException, plan: Plan) -> str:
        """Why a cell failed; remembers where the device is of no use to later ones either."""
        if is_device_lost(error):
            self._lost_device = message_of(error).partition("\n")[0]
        return describe_failure(error, plan)

    def _asked(self, plan: Plan, initial: Mapping[str, InitialWeights]) -> dict[str, Content]:
        """What is known of an identity before it is claimed: no run's weights, no matched width."""
        files = {key: found for key, found in initial.items() if found.run_id is None}
        return describe_training(plan, self.splits.revisions(plan), files)

    def _differs(
        self,
        plan: Plan,
        initial: Mapping[str, InitialWeights],
        coordinator: Coordinator,
        asked_hash: str | None,
    ) -> str | None:
        """Why this machine gives a cell another identity than it was submitted with, if so."""
        if asked_hash is None:
            return None
        asked = self._asked(plan, initial)
        if digest(hashed(asked)) == asked_hash:
            return None
        stored = json.loads(coordinator.contents([asked_hash]).get(asked_hash, "{}"))
        found = list(differences(stored, asked)) if stored else []
        return explain(
            f"{plan.cell.experiment} {cell_name(plan.cell.label, plan.cell.seed)}",
            "this machine would execute another cell than the one that was submitted",
            found=list_differences(found) or "another identity",
            allowed="the data, files, plugins and versions with which it was submitted",
            next_step="bring them here, or submit it from here: mmlab run",
        )

    def _checkpoints(
        self, plan: Plan, row: RunRow, origin: Mapping[str, object], coordinator: Coordinator
    ) -> Checkpoints:
        """Those of a run, which goes on from them.

        Where code, data or batch are not those it was begun with, a run that failed begins anew, as
        something was mended; RunError for one that was interrupted.
        """
        made_with = describe_computation(plan, origin, self.group.size)
        found = Checkpoints(Path(self.options.runs) / row.run_id, made_with, self.note)
        changes = found.changes()
        found.starts_anew = self.options.restart or (bool(changes) and row.status == "failed")
        if found.starts_anew and changes:
            self.note(f"begins anew: {'; '.join(changes)}")
        elif changes and not coordinator.are_running([row.run_id]):
            raise found.refusal(changes)
        return found

    def _tell_skipped(self, plan: Plan) -> None:
        """Say how many samples are left out because they cannot be read."""
        for split, count in sorted(Counter(one.split for one in self.splits.skipped(plan)).items()):
            self.note(describe_skipped(count, split))

    def _say(self, text: str) -> None:
        """Tell whoever holds the display at this moment."""
        self.note(text)


def _key(row: CellRow) -> str:
    """What tells one cell of a command from all others, its file and place included."""
    return digest([row.spec.name, row.position, row.experiment, row.seed, row.resolved])
