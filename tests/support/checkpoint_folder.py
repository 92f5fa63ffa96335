"""The folder of a run with checkpoints whose states say their steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmlab.model.weights import save_weights
from mmlab.records import Artifact
from mmlab.runner.checkpoints import BEST, Checkpoints, Saved
from mmlab.train.state import pack

MADE_WITH: Mapping[str, Any] = {"libraries": {"torch": "2.14"}, "batch_size": 8, "data": {}}


class Folder:
    """The folder of a run, and what was told of it."""

    def __init__(self, path: Path) -> None:
        self.run = path / "run"
        self.run.mkdir(exist_ok=True)
        self.notes: list[str] = []
        self.checkpoints = self.again()
        self.checkpoints.try_out(files(0))

    def again(self, made_with: Mapping[str, Any] = MADE_WITH) -> Checkpoints:
        """As another process has it."""
        return Checkpoints(self.run, made_with, self.notes.append)

    def write(self, step: int, best: float | None = None) -> None:
        """Write a checkpoint, with best weights of this value."""
        found = None
        if best is not None:
            sha256 = save_weights(self.run / BEST, {"w": torch.tensor([best])})
            found = Artifact("best", f"run/{BEST}", sha256, 1)
        self.checkpoints.write(step, files(step), found)

    @property
    def names(self) -> list[str]:
        """What lies among the checkpoints."""
        return sorted(path.name for path in (self.run / "checkpoints").iterdir())


def files(step: int) -> dict[str, bytes]:
    """The files of a state of this step."""
    return pack({"model": {"w": torch.full((50,), float(step))}})


def step_of(saved: Saved | None) -> int:
    """The step of a checkpoint whose state is that of the step."""
    assert saved is not None
    assert torch.equal(saved.states["model"]["w"], torch.full((50,), float(saved.step)))
    return saved.step
