"""The values that go into the store and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mmlab.errors import StoreError
from mmlab.records import EvaluationResult


class LeaseLost(StoreError):
    """The claim is void, so nothing was written and this process must stop.

    Another process has claimed the run or cell meanwhile, or somebody has cancelled it.
    """


@dataclass(frozen=True)
class SpecRow:
    """A spec file as it was read: its name without the folder, its text, and its content as JSON.

    `resolved` has the default of every key that mmlab reads, what the file extends and every
    override, and the sweep.
    """

    name: str
    text: str
    resolved: Mapping[str, object]


@dataclass(frozen=True)
class CellRow:
    """A cell of a spec's sweep, whole: `mmlab.runner.cells` writes it and reads it back.

    Tables keep their order. `axes` are the sweep's dotted paths and their values, `label` says them
    in short. `overrides` has the texts of `--set` in "set" and the files of `--set-file` in
    "files"; `budget` is how many parameters fusion and head may have. `resolved` is the cell's own
    spec as it was asked, every option with its value or default and every path absolute.
    `position` counts the cells of the sweep from 0. `position` and `overrides` are None where they
    are unknown, for a cell that an earlier version submitted.
    """

    spec: SpecRow
    experiment: str
    position: int | None
    seed: int
    label: str
    axes: Mapping[str, object]
    overrides: Mapping[str, object] | None
    budget: int | None
    resolved: Mapping[str, object]


@dataclass(frozen=True)
class RunIdentity:
    """What is submitted: a cell, and the run that it is. Two of one train hash are the same run.

    `resolved` is the cell's spec as the run executes it: the weights that were found, and the width
    that a budget gave.
    """

    cell: CellRow
    resolved: Mapping[str, object]
    train_hash: str
    group_hash: str


@dataclass(frozen=True)
class ImportedRun:
    """A model's results as another tool published them; of one train hash, the same run.

    `origin` names the tool, and the experiment's name is the same unless it is given; then no run
    that was executed here may have it, and two results of one name and protocol are refused. Runs
    of one `group_hash` differ in the seed alone. `evaluations` are pairs of an identity and a
    result.
    """

    origin: str
    cell: str
    axes: Mapping[str, object]
    train_hash: str
    evaluations: Sequence[tuple[str, EvaluationResult]]
    experiment: str | None = None
    group_hash: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class RunRow:
    """A run, for lists. Times are UTC; `error` is why it failed.

    `origin` is what it was imported from, None for a run that was executed here.
    """

    run_id: str
    experiment: str
    cell: str
    axes: Mapping[str, object]
    seed: int
    replicate: int
    status: str
    train_hash: str
    group_hash: str
    fence: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    origin: str | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether it was begun and given back: nobody executes it until it is asked for again."""
        return self.status == "queued" and self.fence > 0


@dataclass(frozen=True)
class Claim:
    """The right to execute a run until the lease ends. Whoever claims later has a higher fence."""

    run_id: str
    fence: int
    worker: str
    lease_seconds: float


@dataclass(frozen=True)
class Submission:
    """A cell for the queue.

    `waits_for` are the experiments, or the ids of runs, that it starts from: it can be claimed once
    they have ended. `asked_hash` is its train hash as far as the submitter could compute it. Higher
    priorities are claimed first. With `rerun` it becomes one more replicate in any case.
    """

    cell: CellRow
    waits_for: Sequence[str] = ()
    asked_hash: str | None = None
    priority: int = 0
    rerun: bool = False


@dataclass(frozen=True)
class QueuedCell:
    """A cell in the queue, whole. `run_id` is the run it became, None before it was begun.

    `reason` is why it was given back or blocked. `deaths` says how often in a row the process that
    had it died in one and the same way.
    """

    id: int
    cell: CellRow
    status: str
    priority: int
    waits_for: Sequence[str]
    asked_hash: str | None
    rerun: bool
    run_id: str | None
    reason: str | None
    deaths: int


@dataclass(frozen=True)
class CellClaim:
    """The right to execute a cell until the lease ends. Whoever claims later has a higher fence."""

    id: int
    fence: int
    worker: str
    lease_seconds: float
    queued: QueuedCell


@dataclass(frozen=True)
class CellState:
    """How a cell in the queue stands.

    `status` is queued, running, done, failed, blocked or cancelled. `id` is None for a run that has
    no place in the queue. `lease_until` (UTC) is None unless it is running.
    """

    id: int | None
    status: str
    experiment: str
    label: str
    seed: int
    run_id: str | None
    reason: str | None
    lease_until: datetime | None


@dataclass(frozen=True)
class Evaluating:
    """Who evaluates a run: the process that executes it, by its claim, or one that asks more.

    Without a claim the run is done, and several processes may ask it at once.
    """

    run_id: str
    worker: str
    lease_seconds: float
    claim: Claim | None = None


@dataclass(frozen=True)
class Part:
    """A range of the items of what an evaluation has to make: `count` from `first` on.

    `evaluation` is the evaluation's identity; `work` says what is made and has a hash of all that
    it depends on; `number` is its place, equal for whoever would make the same. `path`, in the runs
    folder, and `sha256` are of the file that was made of it: None until there is one.
    """

    evaluation: str
    work: str
    number: int
    first: int
    count: int
    fence: int = 0
    path: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class AttemptRow:
    """One try at a run; `outcome` is None while it goes on."""

    fence: int
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    message: str | None
    traceback: str | None


@dataclass(frozen=True)
class EvaluationRow:
    """One evaluation of a run and its metrics as declared, None where one is not defined."""

    id: int
    name: str
    evaluator: str
    condition: str
    split: str
    dataset_revision: str
    step: int | None
    evaluation_hash: str
    protocol_hash: str
    protocol: Mapping[str, object]
    subject: Mapping[str, object]
    templates: Sequence[str]
    sample_count: int
    skipped_count: int
    metrics: Mapping[str, float | None]
    test_set: str | None = None


@dataclass(frozen=True)
class ArtifactRow:
    """A file that a run left, its path relative to the runs folder."""

    role: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class RunDetail:
    """All that `mmlab show` tells of a run.

    `cell` is the newest of those that are this run; None for a run that was imported.
    """

    run: RunRow
    cell: CellRow | None
    spec_name: str
    spec_text: str
    resolved: Mapping[str, object]
    provenance: Mapping[str, object]
    summary: Mapping[str, object]
    attempts: Sequence[AttemptRow]
    evaluations: Sequence[EvaluationRow]
    artifacts: Sequence[ArtifactRow]


@dataclass(frozen=True)
class BestWeights:
    """A done run's best weights, and the run's summary, which says how good they are."""

    run_id: str
    path: str
    sha256: str
    summary: Mapping[str, object]
