"""Processes of a group that follow the main one: they execute what it claims, and keep nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from mmlab.data.splits import Splits
from mmlab.errors import DataError, SpecError, message_of
from mmlab.hashing import digest
from mmlab.model.build import InitialWeights
from mmlab.model.width import WidthMatcher
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.runner.execute import CellExecutor, Unrecorded
from mmlab.runner.identity import hash_cell
from mmlab.runner.provenance import RAISED, describe_failure
from mmlab.train.processes import ProcessGroup, require_equal, vote

#: What the main process says when there is nothing more to do.
END = ""


@dataclass(frozen=True)
class Assignment:
    """A claimed cell: which one of which spec, its hash, its first weights, what is evaluated."""

    spec: str
    index: int
    train_hash: str
    initial: Mapping[str, InitialWeights]
    wanted: tuple[str, ...]

    def to_json(self) -> str:
        """The assignment as a message."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def read(cls, message: str) -> Assignment:
        """The assignment of a message."""
        values = json.loads(message)
        initial = {
            key: InitialWeights(**{**source, "path": Path(source["path"])})
            for key, source in values["initial"].items()
        }
        return cls(**{**values, "initial": initial, "wanted": tuple(values["wanted"])})


def follow(plans: Sequence[Plan], group: ProcessGroup, device: torch.device) -> None:
    """Execute every cell that the main process claims, until it says that this is the end.

    Raises GroupError where the processes cannot go on together.
    """
    follower = _Follower(plans, group, device)
    while (message := group.receive()) != END:
        vote(group, follower.attempt(Assignment.read(message)))


class _Follower:
    def __init__(self, plans: Sequence[Plan], group: ProcessGroup, device: torch.device) -> None:
        self.plans = {(str(plan.cell.source.path), plan.cell.index): plan for plan in plans}
        self.group = group
        self.splits = Splits()
        self.matcher = WidthMatcher(self.splits)
        self.executor = CellExecutor(self.splits, device, group, note=lambda text: None)

    def attempt(self, assignment: Assignment) -> str | None:
        """Execute a cell; why that failed, if it did."""
        plan = self.plans[assignment.spec, assignment.index]
        try:
            self._execute(plan, assignment)
        except KeyboardInterrupt:
            raise
        except RAISED as error:  # whatever a component raises, the main process hears of it
            return describe_failure(error, plan)
        return None

    def _execute(self, plan: Plan, assignment: Assignment) -> None:
        plan = self.matcher.match(plan)
        hashes = hash_cell(plan, self.splits.revisions(plan), assignment.initial)
        require_equal(self.group, hashes.train)
        self.executor.execute(plan, assignment.initial, assignment.wanted, Unrecorded())


def require_equal_plans(plans: Sequence[Plan], group: ProcessGroup) -> None:
    """Raise GroupError on every process unless all have the same plans to execute.

    Raises SpecError where a batch cannot be divided between them.
    """
    if group.size == 1:  # which may have much to read, and cells that cannot be
        return
    identities = [[plan.cell.source.spec.model_dump(mode="json"), plan.cell.seed] for plan in plans]
    components = [[_identity(found) for _, found in plan.components()] for plan in plans]
    require_equal(group, digest([identities, components]))
    faults = [fault for plan in plans if (fault := _uneven(plan, group.size))]
    if faults:
        raise SpecError("\n\n".join(dict.fromkeys(faults)))


def _identity(found: Resolved) -> object:
    """What a component is, or why that cannot be known: its own cell is told so again."""
    try:
        return found.identity()
    except DataError as error:
        return message_of(error)


def _uneven(plan: Plan, size: int) -> str | None:
    table = plan.cell.spec.train
    if table is None or table.batch_size % size == 0:
        return None
    return plan.explain(
        ("train", "batch_size"),
        "the processes of this group cannot divide a batch into equal parts",
        found=f"batch_size {table.batch_size}, {size} processes",
        allowed=f"multiples of {size}",
        next_step=f"set batch_size = {-(-table.batch_size // size) * size}, or --nproc-per-node",
    )
