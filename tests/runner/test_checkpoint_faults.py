"""What may happen to checkpoints: kills, power cuts, damage. The newest whole one is used."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checkpoint_folder import Folder, files, step_of

from mmlab.errors import RunError
from mmlab.model.weights import load_weights
from mmlab.runner.checkpoints import BEST, MANIFEST
from mmlab.train.state import TENSORS, VALUES

#: The best value until each step.
BEST_AT = {3: 0.5, 6: 0.25}
NEWEST = "step-000000006"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def opened(path: Path) -> tuple[int, list[str]]:
    """The step that the newest checkpoint is of, with the best weights of then; what is told."""
    again = Folder(path)
    step = step_of(again.again().open())
    assert torch.equal(load_weights(again.run / BEST)["w"], torch.tensor([BEST_AT[step]]))
    return step, again.notes


class Disk:
    """What a power cut would leave of a folder: contents and names that `fsync` has waited for.

    All else is lost: the worst case. `skipped` is the number of a call that is left out.
    """

    def __init__(self, root: Path, skipped: int = 0) -> None:
        self.root = root
        self.skipped = skipped
        self.calls = 0
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.folders: set[int] = set()

    def keep(self, path: Path) -> None:
        """What an fsync of a path makes sure of."""
        inode = path.stat().st_ino
        if path.is_dir():
            self.names[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
            self.folders |= {entry.inode() for entry in os.scandir(path) if entry.is_dir()}
        else:
            self.contents[inode] = path.read_bytes()

    def keep_all(self) -> None:
        """As after a `sync` of everything."""
        for path in (self.root, *self.root.rglob("*")):
            self.keep(path)

    def restore(self, target: Path, inode: int | None = None) -> None:
        """Make what is left in another folder."""
        inode = self.root.stat().st_ino if inode is None else inode
        if inode not in self.folders | self.names.keys():
            target.write_bytes(self.contents.get(inode, b""))
            return
        target.mkdir()
        for name, inner in self.names.get(inode, {}).items():
            self.restore(target / name, inner)

    @contextmanager
    def watched(self, after: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hear of every fsync while the block runs; `after` is called after each."""
        fsync = os.fsync

        def heard(handle: int) -> None:
            fsync(handle)
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            if not path.is_relative_to(self.root):
                return
            self.calls += 1
            if self.calls != self.skipped:
                self.keep(path)
            after()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", heard)
            yield


def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    folder, disk = Folder(tmp_path / "disk"), Disk(tmp_path / "disk")
    folder.write(3, best=BEST_AT[3])
    disk.keep_all()
    found = []

    def cut() -> None:
        disk.restore(tmp_path / f"after {disk.calls}")
        found.append(opened(tmp_path / f"after {disk.calls}"))

    with disk.watched(cut):
        folder.write(6, best=BEST_AT[6])
    assert [notes for _, notes in found] == [[]] * len(found)
    steps = [step for step, _ in found]
    assert steps == [3] * (len(steps) - 1) + [6]
    assert len(steps) > 6


def recovered(folder: Path, skipped: int) -> tuple[int, int | None]:
    """How many calls of fsync there were, and the step that a cut after the last one leaves."""
    (folder / "disk").mkdir(parents=True)
    disk = Disk(folder / "disk", skipped)
    disk.keep(disk.root)
    with disk.watched():
        Folder(disk.root).write(3)
    disk.restore(folder / "left")
    saved = Folder(folder / "left").again().open()
    return disk.calls, None if saved is None else step_of(saved)


def test_no_fsync_can_be_spared(tmp_path: Path) -> None:
    """Of a run's first checkpoint, whose folders are new: with any of them left out it is lost."""
    count, step = recovered(tmp_path / "none", 0)
    assert (count, step) == (7, 3)
    lost = [n for n in range(1, 8) if recovered(tmp_path / str(n), n)[1] is None]
    assert lost == [1, 2, 3, 4, 5, 6, 7]


def died_at(call: int, write: Callable[[], None]) -> bool:
    """Whether a child process that writes died at so manyeth call of the file system."""
    child = os.fork()
    if child == 0:
        left = call

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            left -= event in ("open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir")
            if left == 0:
                os._exit(9)

        sys.addaudithook(hear)
        try:
            write()
        finally:  # nothing of the tests may go on here
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_kill_at_any_call_leaves_the_old_or_the_new(folder: Folder, tmp_path: Path) -> None:
    folder.write(2)
    folder.write(3, best=BEST_AT[3])
    steps = []
    for call in range(1, 99):
        place = tmp_path / str(call)
        shutil.copytree(folder.run, place / "run")
        copy, again = Folder(place), files(6)  # nothing of torch is left to do in the child
        if not died_at(call, lambda copy=copy: copy.write(6, best=BEST_AT[6])):  # type: ignore[misc]
            break
        step, notes = opened(place)
        steps.append(step)
        assert notes == []
        assert [name for name in copy.names if not name.startswith("step-")] == []
        assert list(copy.run.glob(".*.partial")) == []
        copy.checkpoints.write(9, again, None)
        assert "step-000000009" in copy.names
    assert len(steps) > 20
    assert steps == sorted(steps)
    assert set(steps) == {3, 6}


damages = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("zero"), st.integers(0, 10**6), st.integers(1, 4096)),
    st.tuples(st.just("add"), st.integers(1, 99), st.just(0)),
)


def damaged(data: bytes, how: str, place: int, more: int) -> bytes:
    """Other bytes: a bit is flipped, the end is cut off, a block was never written, or some more.

    Zeros in the place of zeros are no damage.
    """
    place %= len(data)
    if how == "flip":
        return data[:place] + bytes([data[place] ^ 1 << more]) + data[place + 1 :]
    if how == "cut":
        return data[:place]
    if how == "zero":
        return data[:place] + bytes(len(data[place : place + more])) + data[place + more :]
    return data + bytes(place + 1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two checkpoints."""
    path = tmp_path_factory.mktemp("two")
    folder = Folder(path)
    for step, best in BEST_AT.items():
        folder.write(step, best=best)
    return path


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from([TENSORS, VALUES, MANIFEST, BEST]), damage=damages)
def test_whatever_byte_is_damaged_the_one_before_is_used(
    two: Path, name: str, damage: tuple[str, int, int]
) -> None:
    place = two.parent / "copy"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(two, place)
    path = place / "run" / "checkpoints" / NEWEST / name
    before = path.read_bytes()
    path.write_bytes(damaged(before, *damage))
    if path.read_bytes() == before or is_equal_json(path, before):
        assert opened(place)[0] == 6
        return
    step, (note,) = opened(place)
    assert step == 3
    assert name in note
    assert f"{NEWEST}: this checkpoint is damaged" in note
    aside, used = Folder(place).names
    assert aside.startswith(f"corrupt-{NEWEST}-")
    assert used == "step-000000003"


def is_equal_json(path: Path, before: bytes) -> bool:
    """Whether only blanks of a manifest differ, of which no sum is taken."""
    blanks = re.compile(rb"[ \t\n\r]+")  # those of JSON
    return path.name == MANIFEST and blanks.split(path.read_bytes()) == blanks.split(before)


def test_where_none_is_whole_training_begins_anew_and_it_is_told(folder: Folder) -> None:
    for step, best in BEST_AT.items():
        folder.write(step, best=best)
    for path in folder.run.glob("checkpoints/*/values.json"):
        path.write_bytes(b"")
    assert folder.again().open() is None
    assert len(folder.notes) == 2


def test_one_that_is_named_after_another_step_is_not_used(folder: Folder) -> None:
    """Half of a rename, or somebody's copy."""
    folder.write(3, best=BEST_AT[3])
    checkpoints = folder.run / "checkpoints"
    shutil.copytree(checkpoints / "step-000000003", checkpoints / "step-000000009")
    (checkpoints / "step-000000008").mkdir()
    (checkpoints / "step-000000007").write_text("a file")
    assert step_of(folder.again().open()) == 3
    assert len(folder.notes) == 3


def test_one_that_cannot_be_read_now_is_not_set_aside(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be whole: who may not read it must not lose it."""
    folder.write(3)
    opened = os.open

    def refuse(path: Path | str, *given: int) -> int:
        if Path(path).name == TENSORS:
            raise PermissionError(13, "Permission denied")
        return opened(path, *given)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(RunError, match="cannot be read") as caught:
            folder.again().open()
    assert f"step-000000003/{TENSORS}" in str(caught.value)
    assert step_of(folder.again().open()) == 3
