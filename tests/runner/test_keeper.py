"""When checkpoints are written: after so many steps, so much time, or one per cent of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.checkpoint_folder import Folder, files, step_of

from mmlab.errors import RunError
from mmlab.runner import keeper as of_keeper
from mmlab.runner.keeper import Keeper
from mmlab.train.processes import ProcessGroup
from mmlab.train.state import unpack


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class State:
    """A state of a step; `fault` is what its training has met."""

    fault: str = ""
    group = ProcessGroup()

    def __init__(self) -> None:
        self.step = 0

    def state_dict(self) -> dict[str, Any]:
        return unpack(files(self.step))

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        self.step = int(states["model"]["w"][0])

    def require_finite(self) -> None:
        if self.fault:
            raise RunError(self.fault, "nan")


def keeper(folder: Folder, every: int | str) -> tuple[Keeper, State, list[str]]:
    state, held = State(), list[str]()
    hold: Callable[[], None] = lambda: held.append(",".join(folder.names))  # noqa: E731
    found = Keeper(folder.checkpoints, state, every, hold, lambda: None)  # type: ignore[arg-type]
    found.try_out()
    return found, state, held


def steps_written(folder: Folder, every: int | str, start: int, seconds: float = 0) -> list[int]:
    found, state, _ = keeper(folder, every)
    written = []
    for state.step in range(start, 24):
        before = folder.names
        found(state.step)
        time.sleep(seconds)
        if folder.names != before:
            written.append(step_of(folder.again().open()))
    return written


@pytest.mark.parametrize(
    ("every", "start", "steps"),
    [(5, 0, [5, 10, 15, 20]), (5, 5, [10, 15, 20]), (7, 8, [14, 21]), (30, 0, []), ("1h", 0, [])],
)
def test_one_is_written_after_so_many_steps(
    folder: Folder, every: int | str, start: int, steps: list[int]
) -> None:
    assert steps_written(folder, every, start) == steps


def test_one_is_written_after_so_much_time(folder: Folder) -> None:
    (step,) = steps_written(folder, "1s", 0, seconds=0.06)
    assert 10 < step < 24


def test_by_itself_it_takes_one_per_cent_of_the_time(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that costs 2 s, after steps of 30 s: 200 s of training lie between two."""
    now = 0.0
    monkeypatch.setattr(of_keeper.time, "monotonic", lambda: now)

    def hold() -> None:
        nonlocal now
        now += 2

    found = Keeper(folder.checkpoints, State(), "auto", hold, lambda: None)  # type: ignore[arg-type]
    found.try_out()
    written = []
    for step in range(22):
        before = folder.names
        found(step)
        if folder.names != before:
            written.append(step)
        now += 30
    assert written == [7, 14, 21]


def test_the_lease_is_held_before_anything_is_written(folder: Folder) -> None:
    found, state, held = keeper(folder, 2)
    for state.step in range(5):
        found(state.step)
    assert held == ["", "", "step-000000002"]


def test_nobody_goes_on_from_numbers_that_are_not_finite(folder: Folder) -> None:
    found, state, _ = keeper(folder, 2)
    found(0)
    state.fault = "the loss is not finite"
    with pytest.raises(RunError, match="not finite"):
        found(2)
    assert folder.names == []
