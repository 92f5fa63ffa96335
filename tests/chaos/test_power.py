"""The power is cut: what was held is on the disk, and a checkpoint is whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from support.chaos.power import watched_disk

from mmlab.records import MetricPoint
from mmlab.runner.checkpoints import Checkpoints
from mmlab.runner.spool import Header, Points, Spool, spool_path
from mmlab.runner.sync import look_into
from mmlab.store import Claim
from mmlab.train.state import pack

CLAIM = Claim("run", 1, "worker", 60)


def nothing(handle: int) -> None:
    """The mutant: nothing waits for the disk."""


def spooled(folder: Path, fsync: Callable[[int], None]) -> list[int]:
    """Steps whose points are there after the power was cut; up to step 3 they were held."""
    runs, left = folder / "runs", folder / "left"
    runs.mkdir()
    spool = Spool(spool_path(runs, CLAIM), Header("", "run", 1, "worker", 60))
    with watched_disk(folder, fsync) as disk:
        for step in range(1, 6):
            spool.append(Points((MetricPoint("loss", step, 0.5),)))
            if step == 3:
                spool.sync()
    spool.close()
    disk.restore(runs, left)
    path = spool_path(left, CLAIM)
    records = look_into(path).records() if path.exists() else ()
    return [p.step for one in records if isinstance(one, Points) for p in one.points]


def test_what_was_held_is_in_the_spool(tmp_path: Path) -> None:
    assert spooled(tmp_path, os.fsync) == [1, 2, 3]


def test_without_fsync_it_is_not(tmp_path: Path) -> None:
    assert spooled(tmp_path, nothing) == []


def checkpointed(folder: Path, fsync: Callable[[int], None]) -> list[int]:
    """The steps from which training goes on if the power is cut before each fsync, and after all.

    A checkpoint at step 3 was there, and one at step 6 was written.
    """
    (folder / "runs" / "run").mkdir(parents=True)
    writer = Checkpoints(folder / "runs" / "run", {}, print)
    writer.try_out(files(0))
    writer.write(3, files(3), None)
    with watched_disk(folder, fsync) as disk:
        writer.write(6, files(6), None)
    found = []
    for number, one in enumerate([*disk.before, disk]):
        one.restore(folder / "runs", folder / f"left-{number}")
        saved = Checkpoints(folder / f"left-{number}" / "run", {}, print).open()
        assert saved is not None
        assert torch.equal(saved.states["model"]["w"], torch.full((50,), float(saved.step)))
        found.append(saved.step)
    return found


def files(step: int) -> dict[str, bytes]:
    """A training state after so many steps."""
    return pack({"model": {"w": torch.full((50,), float(step))}})


def test_a_checkpoint_is_whole_or_not_there_and_there_once_it_was_written(tmp_path: Path) -> None:
    steps = checkpointed(tmp_path, os.fsync)
    assert len(steps) > 4
    assert steps == [3] * (len(steps) - 1) + [6]


def test_without_fsync_the_one_before_is_found(tmp_path: Path) -> None:
    assert checkpointed(tmp_path, nothing) == [3]
