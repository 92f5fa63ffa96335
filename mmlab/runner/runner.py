"""From spec files to rows in the database: the straight line that `mmlab run` walks.

    spec -> cells -> plans -> build -> train -> evaluate -> store

Read `run_specs` first (its plans come from `mmlab.plan.resolve`), then `Runner.execute`, and
`CellExecutor.execute` in `mmlab.runner.execute`.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

import torch

from mmlab.data.skipped import describe_skipped
from mmlab.data.splits import Splits
from mmlab.errors import GroupError, MmlabError, StoreError, traceback_of
from mmlab.model.device import determinism, resolve_device
from mmlab.model.width import WidthMatcher
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.runner.cells import describe_run
from mmlab.runner.checkpoints import Checkpoints
from mmlab.runner.execute import CellExecutor
from mmlab.runner.follow import END, Assignment, follow, require_equal_plans
from mmlab.runner.identity import Confirmer, describe_training, hash_cell
from mmlab.runner.initial_weights import BeingTrained, WeightsFinder
from mmlab.runner.kept import FeatureCache
from mmlab.runner.load import rebuild
from mmlab.runner.provenance import (
    RAISED,
    describe_computation,
    describe_failure,
    describe_origin,
    outcome_of,
)
from mmlab.runner.record import (
    LEASE_SECONDS,
    Lease,
    RunRecord,
    curve_metrics,
    keep_lease,
    require_folder,
    write_scores,
)
from mmlab.spec import Override
from mmlab.store import Claim, LeaseLost, RunRow, Store, open_store
from mmlab.train.loop import Progress
from mmlab.train.processes import (
    TIMEOUT_SECONDS,
    ProcessGroup,
    local_rank,
    open_group,
    require_equal,
    vote,
)

Status = Literal["done", "evaluated", "skipped", "held", "failed"]


@dataclass(frozen=True)
class RunOptions:
    """How a command runs its specs.

    `runs` None puts weights beside the database, `cache` None features of frozen encoders; without
    `keeps_features` everything is read and computed anew at every step. `restart`: what was
    interrupted begins anew.
    """

    db: str
    runs: Path | None = None
    overrides: tuple[Override, ...] = ()
    device: str = "auto"
    rerun: bool = False
    restart: bool = False
    fail_fast: bool = False
    lease_seconds: float = LEASE_SECONDS
    group_seconds: float = TIMEOUT_SECONDS
    cache: Path | None = None
    keeps_features: bool = True


@dataclass(frozen=True)
class Ended:
    """How a cell ended: its run, if it has one by then, and why it failed, if it did."""

    status: Status
    run_id: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one cell. `held`: another process is at it, or at what it starts from."""

    status: Status
    experiment: str
    cell: str
    run_id: str | None = None
    error: str | None = None
    seconds: float = 0.0


class Display(Protocol):
    """Whoever shows a person what is going on."""

    def note(self, text: str) -> None:
        """Something worth one line."""

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        """A cell begins; `position` counts from 1."""

    def progress(self, progress: Progress) -> None:
        """Training emitted values."""

    def finished(self, outcome: Outcome) -> None:
        """A cell ended."""


def run_specs(paths: Sequence[Path], options: RunOptions, display: Display) -> list[Outcome]:
    """Run every cell that is not done, and record each in one transaction.

    A cell that fails is recorded as failed and the others go on, unless `fail_fast`.
    """
    with open_group(options.group_seconds) as group:
        plans = plan_together(paths, options.overrides, group)
        device = resolve_device(options.device, local_rank())
        if not group.is_main:
            follow(plans, group, device)
            return []
        try:
            return run_plans(plans, options, display, device, group)
        finally:
            group.broadcast(END)


def plan_together(
    paths: Sequence[Path], overrides: Sequence[Override], group: ProcessGroup
) -> list[Plan]:
    """The plans, which must be the same for all processes of the group."""
    try:
        plans = plan_specs(paths, overrides)
    except MmlabError:
        group.leave("an invalid spec")
        raise
    require_equal_plans(plans, group)
    return plans


def run_plans(
    plans: Sequence[Plan],
    options: RunOptions,
    display: Display,
    device: torch.device,
    group: ProcessGroup,
) -> list[Outcome]:
    """Execute one plan after the other; the main process does."""
    outcomes: list[Outcome] = []
    with open_store(options.db, create=True) as store:
        runner = Runner(store, options, display, device, group)
        for position, plan in enumerate(plans, start=1):
            display.started(plan.cell.experiment, label_of(plan), position, len(plans))
            outcomes.append(runner.attempt(plan, runner.execute))
            display.finished(outcomes[-1])
            if options.fail_fast and outcomes[-1].status == "failed":
                break
    return outcomes


class Runner:
    """One process that executes cells against one store."""

    def __init__(
        self,
        store: Store,
        options: RunOptions,
        display: Display,
        device: torch.device,
        group: ProcessGroup | None = None,
    ) -> None:
        self.store = store
        self.options = options
        self.display = display
        self.device = device
        self.runs = options.runs or store.runs_folder
        require_folder(self.runs)
        self.worker = uuid.uuid4().hex
        self.splits = Splits(display.note)
        self.matcher = WidthMatcher(self.splits)
        self.group = group or ProcessGroup()
        self.executor = CellExecutor(self.splits, device, self.group, display.note, self.cache())
        self.weights = WeightsFinder(store, self.runs, self.executor.files)

    def cache(self) -> FeatureCache | None:
        """Where features and inputs are kept, if they are."""
        if not self.options.keeps_features:
            return None
        return FeatureCache(self.options.cache or self.store.cache_folder, self.display.note)

    def attempt(self, plan: Plan, execute: Callable[[Plan], Ended]) -> Outcome:
        """Execute a cell; an error before it is claimed fails this cell alone.

        Raises StoreError and GroupError: no other cell could be executed either.
        """
        started = time.perf_counter()
        try:
            ended = execute(plan)
        except (StoreError, GroupError, KeyboardInterrupt):
            raise
        except RAISED as fault:  # whatever a component raises, the other cells go on
            ended = Ended("failed", error=describe_failure(fault, plan))
        seconds = time.perf_counter() - started
        return Outcome(
            ended.status, plan.cell.experiment, label_of(plan), ended.run_id, ended.error, seconds
        )

    def execute(self, plan: Plan) -> Ended:
        """Identify a cell, claim its run, produce what is missing, and record it."""
        asked, plan = plan, self.matcher.match(plan)
        try:
            initial = self.weights.find(plan)
        except BeingTrained as reason:
            self.display.note(str(reason))
            return Ended("held")
        revisions = self.splits.revisions(plan)
        content = describe_training(plan, revisions, initial)
        confirmer = Confirmer(self.store, self.display.note)
        identity = describe_run(asked, plan, confirmer.cell(plan, content), initial)
        wanted = confirmer.evaluations(plan, identity.train_hash, self.splits)
        self.tell_skipped(plan)
        self.splits.compare(plan)
        confirmer.keep()
        row = self.store.submit(identity, rerun=self.options.rerun)
        self.weights.submitted(plan.cell.experiment, row.run_id)
        if row.status == "done":
            return self.add_evaluations(plan, row, wanted)
        origin = {
            **describe_origin(plan, self.device, self.executor.precision(plan)),
            "data": revisions,
        }
        checkpoints = self.checkpoints(plan, row, origin)
        seconds = self.options.lease_seconds
        claim = self.store.claim(row.run_id, self.worker, seconds, origin)
        if claim is None:
            return Ended("held", row.run_id)
        spec, index = str(plan.cell.source.path), plan.cell.index
        plain = hash_cell(plan, revisions, initial)  # as processes know it that have no store
        assignment = Assignment(spec, index, plain.train, initial, tuple(wanted))
        error = self.lead(plan, assignment, claim, wanted, checkpoints)
        return Ended("failed" if error else "done", row.run_id, error)

    def checkpoints(self, plan: Plan, row: RunRow, origin: Mapping[str, object]) -> Checkpoints:
        """Those of a run, which goes on from them.

        Where code, data or batch are not those it was begun with, a run that failed begins anew, as
        something was mended; RunError for one that was interrupted.
        """
        made_with = describe_computation(plan, origin, self.group.size)
        found = Checkpoints(self.runs / row.run_id, made_with, self.display.note)
        changes = found.changes()
        found.starts_anew = self.options.restart or (bool(changes) and row.status == "failed")
        if found.starts_anew and changes:
            self.display.note(f"begins anew: {'; '.join(changes)}")
        elif changes and not self.store.are_running([row.run_id]):
            raise found.refusal(changes)
        return found

    def tell_skipped(self, plan: Plan) -> None:
        """Say how many samples are left out because they cannot be read."""
        for split, count in sorted(Counter(one.split for one in self.splits.skipped(plan)).items()):
            self.display.note(describe_skipped(count, split))

    def lead(
        self,
        plan: Plan,
        assignment: Assignment,
        claim: Claim,
        wanted: Mapping[str, str],
        checkpoints: Checkpoints,
    ) -> str | None:
        """Execute a claimed run with the group; gives why it failed, if it did.

        Raises GroupError where the group cannot go on.
        """
        self.group.broadcast(assignment.to_json())
        try:
            with keep_lease(self.store, claim) as lease:
                error = self.record(plan, assignment, lease, wanted, checkpoints)
        except BaseException:
            self.group.leave("the main process was stopped")
            raise
        vote(self.group, error)
        return error

    def record(
        self,
        plan: Plan,
        assignment: Assignment,
        lease: Lease,
        wanted: Mapping[str, str],
        checkpoints: Checkpoints,
    ) -> str | None:
        """Produce a claimed run's results and store them, or store why not and return that."""
        try:
            require_equal(self.group, assignment.train_hash)
            parts = self.splits.skipped(plan), curve_metrics(plan), checkpoints
            with RunRecord(lease, self.runs, wanted, self.display.progress, *parts) as record:
                record.begin()
                self.executor.execute(plan, assignment.initial, wanted, record)
        except KeyboardInterrupt:
            self.store.release(lease.claim, "interrupted")
            raise
        except LeaseLost as error:
            return str(error)
        except StoreError as error:
            with suppress(StoreError):  # it may be too broken to say so
                self.store.fail(lease.claim, "error", str(error), traceback_of(error))
            raise
        except RAISED as error:  # whatever a component raises, the run is stored as failed
            message = describe_failure(error, plan)
            self.store.fail(lease.claim, outcome_of(error), message, traceback_of(error))
            return message
        return None

    def add_evaluations(self, plan: Plan, row: RunRow, wanted: Mapping[str, str]) -> Ended:
        """Evaluate a done run where its spec asks for what it has not been asked before."""
        known = self.store.evaluation_hashes(row.run_id)
        missing = {name: identity for name, identity in wanted.items() if identity not in known}
        if not missing:
            return Ended("skipped", row.run_id)
        detail = self.store.run_detail(row.run_id)
        built = rebuild(plan, detail, self.store, self.runs, self.splits)
        built.step.to(self.device)
        evaluation = self.executor.evaluation(built)
        evaluation.check(missing)
        table = plan.cell.spec.train
        with determinism(table is not None and table.deterministic):
            results = list(evaluation.evaluate(missing))
        results = write_scores(self.runs, row.run_id, results, missing)
        step = cast(int | None, detail.summary.get("best_step"))
        skipped = self.splits.skipped(plan)
        self.store.add_evaluations(row.run_id, results, missing, step, skipped)
        return Ended("evaluated", row.run_id)


def label_of(plan: Plan) -> str:
    """A cell in a few words: what differs from the sweep's other cells, and the seed."""
    return f"{plan.cell.label} seed={plan.cell.seed}".strip()
