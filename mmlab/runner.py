"""From spec files to rows in the database: the straight line that `mmlab run` walks.

    spec -> cells -> plans -> build -> train -> evaluate -> store

Read `run_specs` first, then `Runner.execute` and `Runner.produce`.
"""

from __future__ import annotations

import os
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import torch

from mmlab.build import Experiment, Source, build
from mmlab.builtins import BUILTINS
from mmlab.device import resolve_device
from mmlab.errors import MmlabError, SpecError, StoreError, UsageError, explain
from mmlab.failures import RAISED, describe_failure, outcome_of
from mmlab.fitting import Curves, Summary, Weights, start_training
from mmlab.identity import describe_run, evaluation_hashes, hash_cell
from mmlab.lease import LEASE_SECONDS, Lease, keep_lease
from mmlab.loading import rebuild
from mmlab.matching import Matcher
from mmlab.plan import Plan, prepare
from mmlab.provenance import describe_origin, describe_weights
from mmlab.records import Artifact, EvaluationResult
from mmlab.registry import Registry
from mmlab.score_files import write_scores
from mmlab.scoring import Scorer
from mmlab.sources import find_sources, in_order
from mmlab.spec import expand, load_spec
from mmlab.splits import Splits
from mmlab.store import LeaseLost, RunRow, Store, open_store
from mmlab.train import Progress, determinism, resolve_precision, train

S = TypeVar("S")
T = TypeVar("T")
Status = Literal["done", "evaluated", "skipped", "held", "failed"]


@dataclass(frozen=True)
class RunOptions:
    """How a command runs its specs. `runs` None puts weights beside the database."""

    db: str
    runs: Path | None = None
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    rerun: bool = False
    fail_fast: bool = False
    lease_seconds: float = LEASE_SECONDS


@dataclass(frozen=True)
class Outcome:
    """What became of one cell. `held`: another process is executing it at this moment."""

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


def plan_specs(paths: Sequence[Path], overrides: Sequence[str]) -> list[Plan]:
    """Every cell of every file, checked. Raises one error that holds the faults of all of them."""
    registry, errors = Registry.discover(BUILTINS), list[MmlabError]()
    cells = [
        cell
        for path in paths
        for cell in _collect(lambda path: expand(load_spec(path, overrides)), path, errors)
    ]
    plans = [
        plan
        for cell in cells
        for plan in _collect(lambda cell: [prepare(cell, registry)], cell, errors)
    ]
    if errors:
        worst = next((e for e in errors if isinstance(e, SpecError)), errors[0])
        raise type(worst)("\n\n".join(_paragraphs(errors)))
    return in_order(plans)


def _collect(make: Callable[[S], list[T]], source: S, errors: list[MmlabError]) -> list[T]:
    """What is made of a source, or nothing after keeping the error."""
    try:
        return make(source)
    except MmlabError as error:
        errors.append(error)
        return []


def _paragraphs(errors: Sequence[MmlabError]) -> list[str]:
    """Each fault once: cells of one spec share most of theirs."""
    return list(dict.fromkeys(part for error in errors for part in str(error).split("\n\n")))


def run_specs(paths: Sequence[Path], options: RunOptions, display: Display) -> list[Outcome]:
    """Run every cell that is not done, and record each in one transaction.

    A cell that fails is recorded as failed and the others go on, unless `fail_fast`.
    """
    plans = plan_specs(paths, options.overrides)
    device = resolve_device(options.device)
    outcomes: list[Outcome] = []
    with open_store(options.db, create=True) as store:
        runner = Runner(store, options, display, device)
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
        self, store: Store, options: RunOptions, display: Display, device: torch.device
    ) -> None:
        self.store = store
        self.options = options
        self.display = display
        self.device = device
        self.runs = options.runs or store.runs_folder
        require_folder(self.runs)
        self.worker = uuid.uuid4().hex
        self.splits = Splits()
        self.matcher = Matcher(self.splits)

    def attempt(
        self, plan: Plan, execute: Callable[[Plan], tuple[Status, str | None, str | None]]
    ) -> Outcome:
        """Execute a cell; an error before it is claimed fails this cell alone.

        Raises StoreError: without the database no other cell could be executed either.
        """
        started = time.perf_counter()
        try:
            status, run_id, error = execute(plan)
        except StoreError:
            raise
        except RAISED as fault:  # whatever a component raises, the other cells go on
            status, run_id, error = "failed", None, describe_failure(fault, plan)
        seconds = time.perf_counter() - started
        return Outcome(status, plan.cell.experiment, label_of(plan), run_id, error, seconds)

    def execute(self, plan: Plan) -> tuple[Status, str | None, str | None]:
        """Identify a cell, claim its run, produce what is missing, and record it."""
        plan = self.matcher.match(plan)
        sources = find_sources(plan, self.store, self.runs)
        revisions = self.splits.revisions(plan)
        identity = describe_run(plan, hash_cell(plan, revisions, sources), sources)
        wanted = evaluation_hashes(plan, identity.train_hash, self.splits)
        row = self.store.submit(identity, rerun=self.options.rerun)
        if row.status == "done":
            return self.evaluate_more(plan, row, wanted)
        origin = {**describe_origin(plan, self.device, self.precision(plan)), "data": revisions}
        seconds = self.options.lease_seconds
        claim = self.store.claim(row.run_id, self.worker, seconds, origin)
        if claim is None:
            return "held", row.run_id, None
        with keep_lease(self.store, claim) as lease:
            error = self.record(plan, sources, lease, wanted)
        return "failed" if error else "done", row.run_id, error

    def record(
        self, plan: Plan, sources: Mapping[str, Source], lease: Lease, wanted: Mapping[str, str]
    ) -> str | None:
        """Produce a claimed run's results and store them, or store why not and return that."""
        try:
            self.produce(plan, sources, lease, wanted)
        except KeyboardInterrupt:
            self.store.release(lease.claim, "interrupted")
            raise
        except LeaseLost as error:
            return str(error)
        except StoreError as error:
            with suppress(StoreError):  # it may be too broken to say so
                self.store.fail(lease.claim, "error", str(error), traceback.format_exc())
            raise
        except RAISED as error:  # whatever a component raises, the run is stored as failed
            message = describe_failure(error, plan)
            self.store.fail(lease.claim, outcome_of(error), message, traceback.format_exc())
            return message
        return None

    def produce(
        self, plan: Plan, sources: Mapping[str, Source], lease: Lease, wanted: Mapping[str, str]
    ) -> None:
        """Build, train, evaluate; everything final lands in one transaction."""
        table = plan.cell.spec.train
        summary = Summary(self.device, table)
        artifacts: list[Artifact] = []
        with determinism(table is not None and table.deterministic):
            experiment = build(plan, self.splits, sources)
            experiment.step.to(self.device)
            origins = self.tell_weights(experiment, sources)
            scorer = Scorer(experiment, self.splits, self.device, self.precision(plan))
            scorer.check(wanted)
            if table is not None:
                artifacts = self.fit(experiment, scorer, lease, summary)
            results = self.evaluated(scorer, lease.claim.run_id, wanted)
        lease.check()
        numbers = {**summary.as_dict(experiment), **scorer.cost(), "weights": origins}
        step = summary.best_step
        self.store.finish(lease.claim, results, wanted, artifacts, numbers, step)

    def tell_weights(self, experiment: Experiment, sources: Mapping[str, Source]) -> dict[str, str]:
        """Where each encoder's first weights come from; says it where they could but do not."""
        origins = describe_weights(experiment, sources)
        for key, origin in origins.items():
            if key not in sources and origin != "random" and "random" in origin:
                self.display.note(f"encoders.{key}: {origin}")
        return origins

    def fit(
        self, experiment: Experiment, scorer: Scorer, lease: Lease, summary: Summary
    ) -> list[Artifact]:
        """Train, keep the best and the final weights, and leave the best in the model."""
        step, weights = experiment.step, Weights(self.runs, lease.claim.run_id)
        trainer, batches = start_training(experiment, self.splits, self.device)
        with Curves(self.store, lease.claim) as curves:
            for progress in train(trainer, batches, scorer.validate):
                lease.check()
                curves.add(progress.points)
                self.display.progress(progress)
                summary.see(progress)
                if progress.is_best:
                    lease.hold()
                    weights.save("best", step)
        lease.hold()
        weights.save("final", step)
        weights.restore_best(step)
        return weights.artifacts()

    def evaluate_more(
        self, plan: Plan, row: RunRow, wanted: Mapping[str, str]
    ) -> tuple[Status, str | None, str | None]:
        """Evaluate a done run where its spec asks for what it has not been asked before."""
        known = self.store.evaluation_hashes(row.run_id)
        missing = {name: identity for name, identity in wanted.items() if identity not in known}
        if not missing:
            return "skipped", row.run_id, None
        detail = self.store.run_detail(row.run_id)
        experiment = rebuild(plan, detail, self.store, self.runs, self.splits)
        experiment.step.to(self.device)
        scorer = Scorer(experiment, self.splits, self.device, self.precision(plan))
        scorer.check(missing)
        table = plan.cell.spec.train
        with determinism(table is not None and table.deterministic):
            results = self.evaluated(scorer, row.run_id, missing)
        step = cast(int | None, detail.summary.get("best_step"))
        self.store.add_evaluations(row.run_id, results, missing, step)
        return "evaluated", row.run_id, None

    def evaluated(
        self, scorer: Scorer, run_id: str, wanted: Mapping[str, str]
    ) -> list[EvaluationResult]:
        """The results of the wanted evaluations, with what is kept as files in the runs folder."""
        results = list(scorer.evaluate(wanted))
        return write_scores(self.runs, run_id, results, wanted)

    def precision(self, plan: Plan) -> str:
        """The precision of a cell on this device."""
        table = plan.cell.spec.train
        return resolve_precision(table.precision if table else "auto", self.device)


def label_of(plan: Plan) -> str:
    """A cell in a few words: what differs from the sweep's other cells, and the seed."""
    return f"{plan.cell.label} seed={plan.cell.seed}".strip()


def require_folder(runs: Path) -> None:
    """Raise UsageError, before anything runs, where no folder for weights can be made."""
    there = next(
        path for path in (runs.absolute(), *runs.absolute().parents) if os.path.exists(path)
    )
    is_effective = os.access in os.supports_effective_ids
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=is_effective):
        return
    raise UsageError(
        explain(
            str(runs),
            "weights cannot be kept there",
            found=f"{there} is {'not writable' if there.is_dir() else 'not a folder'}",
            allowed="a folder, there or yet to be made, that this user may write",
            next_step="choose another folder with --runs, or mend this one",
        )
    )
