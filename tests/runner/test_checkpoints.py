"""Folders of checkpoints: whole or not there, on the disk in this order, and the last two kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.checkpoint_folder import MADE_WITH, Folder, files, step_of
from support.full_disk import largest_file

from mmlab.errors import RunError
from mmlab.records import Artifact
from mmlab.runner import checkpoints
from mmlab.runner.checkpoints import BEST, MANIFEST
from mmlab.train.state import TENSORS, VALUES


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_newest_is_opened_and_the_last_two_are_kept(folder: Folder) -> None:
    assert folder.again().open() is None
    for step in (3, 6, 10):
        folder.write(step)
    assert folder.names == ["step-000000006", "step-000000010"]
    assert step_of(folder.again().open()) == 10


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "empty":
        os.truncate(path, 0)
    else:
        data = bytearray(path.read_bytes())
        data[int(how) % len(data)] ^= 4
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "0", "77", "-1"])
@pytest.mark.parametrize("name", [TENSORS, VALUES, MANIFEST, BEST])
def test_of_damaged_ones_the_older_is_used_and_it_is_told(
    folder: Folder, name: str, how: str
) -> None:
    folder.write(3, best=0.5)
    folder.write(6, best=0.25)
    path = folder.run / "checkpoints" / "step-000000006" / name
    path.write_bytes(path.read_bytes())  # best weights are there under another name too
    if name == BEST:
        copy = path.read_bytes()
        path.unlink()
        path.write_bytes(copy)
    damage(path, how)
    assert step_of(folder.again().open()) == 3
    assert [name.partition("-step")[0] for name in folder.names] == ["corrupt", "step-000000003"]
    (note,) = folder.notes
    assert name in note
    assert "step-000000006: this checkpoint is damaged" in note
    assert step_of(folder.again().open()) == 3


def test_the_best_weights_are_those_of_the_checkpoint(folder: Folder) -> None:
    folder.write(30, best=0.5)
    content = (folder.run / BEST).read_bytes()
    folder.write(40, best=0.25)
    assert (folder.run / BEST).read_bytes() != content
    (folder.run / "checkpoints" / "step-000000040" / VALUES).unlink()
    assert step_of(folder.again().open()) == 30
    assert (folder.run / BEST).read_bytes() == content
    same = (folder.run / BEST).stat().st_ino
    assert (folder.run / "checkpoints" / "step-000000030" / BEST).stat().st_ino == same


def test_a_copy_does_where_there_are_no_links(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    folder.write(3, best=0.5)
    content = (folder.run / BEST).read_bytes()
    (folder.run / BEST).write_bytes(b"later")
    assert step_of(folder.again().open()) == 3
    assert (folder.run / BEST).read_bytes() == content


def test_what_killed_processes_left_is_cleared(folder: Folder) -> None:
    folder.write(3)
    half = folder.run / "checkpoints" / ".tmp-0123"
    half.mkdir()
    (half / TENSORS).write_bytes(b"half")
    partial = folder.run / ".best.safetensors.0123456789ab.partial"
    partial.write_bytes(b"half")
    assert step_of(folder.again().open()) == 3
    assert folder.names == ["step-000000003"]
    assert not partial.exists()


def test_all_go_when_training_begins_anew(folder: Folder) -> None:
    folder.write(3)
    again = folder.again()
    again.starts_anew = True
    assert again.open() is None
    assert not (folder.run / "checkpoints").exists()


OTHERS: Mapping[str, Mapping[str, Any]] = {
    "libraries torch: 2.14, now 2.15": {"libraries": {"torch": "2.15"}},
    "batch_size: 8, now 16": {"batch_size": 16},
    "data train: nothing, now abc": {"data": {"train": "abc"}},
    "precision: nothing, now bf16": {"precision": "bf16"},
}


@pytest.mark.parametrize("said", OTHERS)
def test_what_is_not_as_it_was_is_named(folder: Folder, said: str) -> None:
    folder.write(3)
    again = folder.again({**MADE_WITH, **OTHERS[said]})
    assert again.changes() == [said]
    with pytest.raises(RunError, match="--restart") as caught:
        again.open()
    assert said in str(caught.value)
    assert folder.again().changes() == []
    assert folder.names == ["step-000000003"]


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch, run: Path) -> Iterator[list[tuple[str, str]]]:
    """What is asked of the file system below a run: (call, path), names of the moment drawn out."""
    calls: list[tuple[str, str]] = []
    is_on = True

    def note(call: str, path: Any) -> None:
        text = os.path.relpath(os.fspath(path), run)
        calls.append((call, ".tmp" + text.partition(".tmp-")[2][32:] if ".tmp-" in text else text))

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        is_file = is_on and event == "open" and isinstance(arguments[0], str | os.PathLike)
        if is_file and str(arguments[0]).startswith(str(run)) and arguments[2] & os.O_WRONLY:
            note("write", arguments[0])
        elif is_on and event in ("os.rename", "os.link"):
            note(event.removeprefix("os."), arguments[1])

    fsync = os.fsync

    def noted_fsync(handle: int) -> None:
        note("fsync", os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    sys.addaudithook(hear)
    try:
        yield calls
    finally:
        is_on = False
        monkeypatch.setattr(os, "fsync", fsync)


def test_all_of_it_is_on_the_disk_before_it_has_its_name(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(3, best=0.5)
    found = Artifact("best", f"run/{BEST}", "0" * 64, 1)
    with recorded(monkeypatch, folder.run) as calls:
        folder.checkpoints.write(6, files(6), found)
    assert [(call, path.replace("checkpoints/", "")) for call, path in calls] == [
        ("write", f".tmp/{TENSORS}"),
        ("fsync", f".tmp/{TENSORS}"),
        ("write", f".tmp/{VALUES}"),
        ("fsync", f".tmp/{VALUES}"),
        ("link", f".tmp/{BEST}"),
        ("write", f".tmp/{MANIFEST}"),
        ("fsync", f".tmp/{MANIFEST}"),
        ("fsync", ".tmp"),
        ("rename", "step-000000006"),
        ("fsync", "checkpoints"),
    ]


def test_folders_that_are_new_are_on_the_disk_too(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorded(monkeypatch, folder.run) as calls:
        folder.write(3)
    assert calls[-3:] == [("fsync", "checkpoints"), ("fsync", "."), ("fsync", "..")]


def test_a_full_disk_leaves_those_before(folder: Folder) -> None:
    folder.write(3)
    for size in (10, len(files(6)[TENSORS])):  # amid the first file, and amid the last
        with largest_file(size), pytest.raises(RunError, match="cannot be written") as caught:
            folder.write(6)
        assert caught.value.reason == "disk_full"
        assert folder.names == ["step-000000003"]
    assert step_of(folder.again().open()) == 3


def test_space_for_three_must_be_free(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(map(len, files(0).values()))
    for free, is_enough in ((3 * size, True), (3 * size - 1, False)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path, found=usage: found)
        if is_enough:
            folder.checkpoints.try_out(files(0))
            continue
        with pytest.raises(RunError, match="too little space") as caught:
            folder.checkpoints.try_out(files(0))
        assert caught.value.reason == "disk_full"
        assert "0.0 kB free" not in str(caught.value)
    assert folder.names == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_found_before(folder: Folder) -> None:
    (folder.run / "checkpoints").chmod(0o500)
    with pytest.raises(RunError, match="cannot be written"):
        folder.checkpoints.try_out(files(0))
