"""The power is cut: what was held is in the spool. Of checkpoints the runner's tests say so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support.chaos.power import watched_disk
from support.lab import Lab

from mmlab.files import file_sha256
from mmlab.records import MetricPoint
from mmlab.runner.spool import Header, Points, Spool, spool_path
from mmlab.runner.sync import look_into
from mmlab.store import Claim

CLAIM = Claim("run", 1, "worker", 60)


def nothing(handle: int) -> None:
    """The mutant: nothing waits for the disk."""


def steps_left(folder: Path, fsync: Callable[[int], None]) -> list[int]:
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
    assert steps_left(tmp_path, os.fsync) == [1, 2, 3]


def test_without_fsync_it_is_not(tmp_path: Path) -> None:
    assert steps_left(tmp_path, nothing) == []


def test_the_weights_of_a_run_that_is_done_are_there(sqlite_lab: Lab, tmp_path: Path) -> None:
    """Its row is: the database waits for the disk itself (`tests/store/test_engine.py`)."""
    with watched_disk(tmp_path) as disk:
        detail = sqlite_lab.run_one(sqlite_lab.write("cell"))
    disk.restore(tmp_path, tmp_path / "left")
    runs = tmp_path / "left" / sqlite_lab.runs.name
    assert len(detail.artifacts) == 2
    for kept in detail.artifacts:
        assert file_sha256(runs / kept.path) == kept.sha256
