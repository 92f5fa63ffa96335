"""What the execution of a cell asks of whoever holds the database, and what it tells.

The process that executes cells has no database: it calls the methods of a `Coordinator`, over a
pipe where that is in another process. Everything that passes is plain records, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from mmlab.metric import Metric
from mmlab.plugin import Split
from mmlab.records import Artifact, EvaluationResult, Progress, SkippedSample, WantedPictures
from mmlab.spec import Override
from mmlab.store import (
    BestWeights,
    CellRow,
    Claim,
    Part,
    QueuedCell,
    RunDetail,
    RunIdentity,
    RunRow,
)

#: How the execution of a cell ended. "held": another process has its run, or trains what it starts
#: from. "given back": this machine cannot execute it as it was submitted. "died": its process did,
#: and it is tried again.
End = Literal[
    "done",
    "evaluated",
    "skipped",
    "held",
    "failed",
    "cancelled",
    "given back",
    "interrupted",
    "died",
]


@dataclass(frozen=True)
class Ended:
    """How a cell ended: its run, if it has one by then, and why it failed or was given back.

    `left_behind` is what its components changed of the process and left so.
    """

    status: End
    run_id: str | None = None
    error: str | None = None
    left_behind: Sequence[str] = ()

    def tell_left_behind(self, notes: Notes) -> None:
        """Say what components changed of the process, a line each."""
        for change in self.left_behind:
            notes.note(f"a component left its process other than it was: {change}")


class Notes(Protocol):
    """Whoever takes what is worth one line."""

    def note(self, text: str) -> None:
        """Show a line."""


class Display(Notes, Protocol):
    """Whoever shows a person what is going on."""

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        """A cell begins; `position` counts from 1."""

    def progress(self, progress: Progress) -> None:
        """Training emitted values."""

    def finished(self, outcome: Outcome) -> None:
        """A cell ended."""


@dataclass(frozen=True)
class Outcome:
    """What became of one cell: how it `Ended`, or how it stands in the queue if it did not."""

    status: str
    experiment: str
    cell: str
    run_id: str | None = None
    error: str | None = None
    seconds: float = 0.0


class Coordinator(Notes, Protocol):
    """What the execution of a cell asks and tells. Every method may raise StoreError.

    Those that speak of the claimed run raise RunError("lost") once it is another process's.
    """

    # --- what is stored ---------------------------------------------------------------------

    def contents(self, hashes: Sequence[str]) -> dict[str, str]:
        """The values that hashes stand for, JSON texts by hash, of those that are kept."""

    def keep_contents(self, contents: Mapping[str, str]) -> None:
        """Keep the values that hashes stand for."""

    def evaluation_hashes(self, run_id: str) -> list[str]:
        """Identities of the evaluations that a run has."""

    def run_detail(self, run_id: str) -> RunDetail:
        """All about one run."""

    def present_runs(self, name: str) -> list[str]:
        """Ids of the runs of an experiment's present version, or of the run of this id."""

    def are_running(self, run_ids: Sequence[str]) -> bool:
        """Whether a process is executing one of these runs at this moment."""

    def best_weights(self, run_ids: Sequence[str]) -> list[BestWeights]:
        """Best weights of those of these runs that are done, newest first."""

    def trained_experiments(self) -> list[str]:
        """The experiments of which a run is done and has weights."""

    def wanted_pictures(
        self, dataset_revision: str, split: Split, ids: Sequence[str]
    ) -> WantedPictures:
        """Which of some samples have no small picture and would keep one; none if it is away."""

    # --- a cell becomes a run ---------------------------------------------------------------

    def submit(self, identity: RunIdentity) -> RunRow:
        """The run that the cell is, a new one unless it is there."""

    def claim(
        self,
        run_id: str,
        provenance: Mapping[str, object],
        wanted: Mapping[str, str],
        declared: Sequence[Metric],
    ) -> Claim | None:
        """Take the run; None where another process has it, or what it left shows it done.

        `wanted` are the identities of evaluations by name, `declared` says what its curves are.
        """

    # --- the claimed run --------------------------------------------------------------------

    def hold(self) -> bool:
        """Be sure of the lease, and that nothing told until now can be lost.

        False where the database is away: another process may have the run, and this one only goes
        on as that is not known. It must overwrite none of the other's files then.
        """

    def rewind(self, step: int) -> None:
        """Training goes on from this step: remove what a former attempt left of curves after it."""

    def progress(self, progress: Progress) -> None:
        """Keep the points of an emission and show where training stands. Never waits."""

    def finish(
        self,
        results: Sequence[EvaluationResult],
        artifacts: Sequence[Artifact],
        summary: Mapping[str, object],
        best_step: int | None,
        skipped: Sequence[SkippedSample],
    ) -> bool:
        """Record everything final, and that the run is done, in one transaction.

        False where the database is away: it is kept on the disk, and recorded later.
        """

    def fail(self, outcome: str, message: str, traceback: str) -> None:
        """Record that the run failed, and why."""

    def release(self) -> None:
        """Put the run back into the queue: it was interrupted."""

    def set_aside(self) -> None:
        """Put the run back into the queue of a database that was deleted, once that is back."""

    def add_evaluations(
        self,
        run_id: str,
        results: Sequence[EvaluationResult],
        wanted: Mapping[str, str],
        best_step: int | None,
        skipped: Sequence[SkippedSample],
    ) -> None:
        """Add evaluations to a done run."""

    # --- parts of evaluations that take long, of the claimed run or of one that is done -------

    def parts(self, run_id: str, evaluation: str) -> list[Part]:
        """Those of an evaluation, work by work, the first in front. StoreError at once if away."""

    def claim_part(self, run_id: str, asked: Part) -> Part | None:
        """Take a part; None where it is done, or another process is at it."""

    def finish_part(self, run_id: str, made: Part) -> bool:
        """Mark a claimed part as done; False if another process has claimed it since."""

    def drop_part(self, run_id: str, part: Part) -> None:
        """Forget a part whose file is of no use."""


@dataclass(frozen=True)
class ExecutionOptions:
    """How cells are executed: the folders of weights and kept features, and what is not used.

    Without a `cache` everything is read and computed anew at every step. `restart`: checkpoints of
    interrupted runs are left aside.
    """

    runs: str
    cache: str | None
    restart: bool = False


@dataclass(frozen=True)
class PreparedCell:
    """A checked cell of a spec, as it is submitted.

    `waits_for` names the experiments and runs whose weights it starts from. `asked_hash` is its
    identity as far as it is known before those are; None where its data could not be read.
    """

    cell: CellRow
    waits_for: Sequence[str]
    asked_hash: str | None


@dataclass(frozen=True)
class Prepared:
    """The cells of some specs, and the values behind their hashes, JSON texts by hash."""

    cells: Sequence[PreparedCell]
    contents: Mapping[str, str]


class Executor(Protocol):
    """What executes cells: this process, or a child of it."""

    def prepare(
        self, specs: Sequence[Path], overrides: Sequence[Override], notes: Notes
    ) -> Prepared:
        """Read and check specs. Raises SpecError or PluginError with all that is wrong."""

    def begin(self, options: ExecutionOptions) -> None:
        """Learn how cells are to be executed, before the first is."""

    def execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        """Execute a claimed cell. Raises `Died` where the process that did so ended."""

    def read_questions(
        self, run_ids: Sequence[str], files: Sequence[Path], coordinator: Coordinator
    ) -> None:
        """Read what files ask more of finished runs. Raises SpecError or PluginError."""

    def ask(self, run_id: str, coordinator: Coordinator) -> Ended:
        """Evaluate one of these runs on that. Raises `Died` as `execute` does."""

    def ask_to_stop(self) -> None:
        """Let the present cell finish its step, write a checkpoint, and end as interrupted."""

    def kill(self) -> None:
        """End what is being executed at once."""


class ChildRequests(Protocol):
    """What a child process is asked, over its pipe."""

    def start(self, device: str) -> None:
        """Choose where to compute. Raises UsageError where there is no such device."""

    def prepare(self, specs: Sequence[str], overrides: Sequence[Sequence[str]]) -> Prepared:
        """As an executor's. An override is a text of `--set`, or a file's path after "file"."""

    def begin(self, options: ExecutionOptions) -> None:
        """As an executor's."""

    def execute(self, queued: QueuedCell) -> Ended:
        """As an executor's."""

    def read_questions(self, run_ids: Sequence[str], files: Sequence[str]) -> None:
        """As an executor's."""

    def ask(self, run_id: str) -> Ended:
        """As an executor's."""


class Died(Exception):
    """The process that executed a cell is gone: `signature` says how, equal for equal deaths."""

    def __init__(self, signature: str, message: str, outcome: str = "died") -> None:
        super().__init__(message)
        self.signature = signature
        self.message = message
        self.outcome = outcome
