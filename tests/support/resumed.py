"""A training that is taken up again in fresh objects, and all that it says and leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mmlab.data.order import Generators
from mmlab.data.splits import Splits
from mmlab.model.build import build
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Batch, Split
from mmlab.records import Artifact, Progress, WantedPictures
from mmlab.runner.execute import CellExecutor, Summary, start_training
from mmlab.runner.record import WeightFiles
from mmlab.store import Claim
from mmlab.train.loop import train
from mmlab.train.processes import ProcessGroup
from mmlab.train.state import State, TrainingState

#: What validations say is the loss: the second is the best.
SCORES = (3.0, 1.0, 2.0, 2.5, 2.2, 1.5)
STEPS_BEFORE = 11  # 24 samples in batches of 8: amid an epoch, and between two emissions

CPU = torch.device("cpu")


@dataclass
class Left:
    """All that can be seen of a training after `STEPS_BEFORE` steps, but for how fast it was."""

    points: dict[tuple[str, int], float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    files: list[Artifact] = field(default_factory=list)
    best_step: int | None = None
    steps: int = 0

    def __eq__(self, other: object) -> bool:
        """Bit for bit."""
        assert isinstance(other, Left)
        return (
            (self.points, self.files, self.best_step, self.steps)
            == (other.points, other.files, other.best_step, other.steps)
            and self.weights.keys() == other.weights.keys()
            and all(torch.equal(x, other.weights[name]) for name, x in self.weights.items())
        )


def no_pictures(revision: str, split: Split, samples: Sequence[str]) -> WantedPictures:
    """No sample is shown."""
    return WantedPictures((), 0)


class Training:
    """A training of a spec in fresh objects, of which some steps may have been made before."""

    def __init__(self, plan: Plan, runs: Path, start: int = 0) -> None:
        self.start = start
        splits = Splits()
        self.built = build(plan, splits, {})
        group = ProcessGroup()
        self.evaluation = CellExecutor(splits, CPU, group, print).evaluation(
            self.built, no_pictures, trains=True
        )
        self.trainer, self.batches = start_training(self.built, splits, CPU, start=start)
        self.summary = Summary(CPU, plan.cell.spec.train)
        self.files = WeightFiles(runs, Claim("run", 1, "worker", 60.0))
        self.state = TrainingState(
            self.trainer, summary=self.summary, files=self.files, generators=Generators()
        )
        self.states: dict[int, dict[str, State]] = {}
        self._validations = start // self.trainer.validate_every

    def restore(self, states: Mapping[str, State], *, without: str = "") -> None:
        """Give every part its state, but one."""
        for name, part in self.state.parts.items():
            if name != without:
                part.load_state_dict(states[name])

    def progresses(self) -> Iterator[Progress]:
        """Train to the end, keeping the best weights; a state is taken before each step."""
        for progress in train(self.trainer, self._watched(), self._validate, self.start):
            self.summary.update(progress)
            if progress.is_best:
                about = self.built.description().metadata()
                self.files.save("best", self.built.step.state_dict(), about)
            yield progress

    def run(self) -> Left:
        """Train to the end."""
        left = Left()
        for progress in self.progresses():
            left.points |= _points(progress)
        state = self.built.step.state_dict()
        left.weights = {name: x.clone() for name, x in state.items() if isinstance(x, Tensor)}
        left.files, left.best_step = self.files.artifacts(), self.summary.best_step
        left.steps = self.summary.state_dict()["steps"]
        return left

    def _watched(self) -> Iterator[Batch]:
        for step, batch in enumerate(self.batches, start=self.start):
            if step == STEPS_BEFORE:
                self.states[step] = self.state.state_dict()
            yield batch

    def _validate(self) -> dict[str, float]:
        score = SCORES[self._validations]
        self._validations += 1
        seen = {f"seen/{name}": value for name, value in self.evaluation.validate().items()}
        return {"loss": score, **seen}


def _points(progress: Progress) -> dict[tuple[str, int], float]:
    return {
        (point.name, point.step): point.value
        for point in progress.points
        if point.step > STEPS_BEFORE and point.name != "train/samples_per_second"
    }


def plan_of(spec: Path, overrides: Sequence[str]) -> Plan:
    """The one cell of a spec."""
    (plan,) = plan_specs([spec], ["train.epochs=6", "train.emit_every=2", *overrides])
    return plan
