"""A database that is deleted while a run is trained: the run is queued, not failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.lab import Lab, Shown, here

from mmlab.records import Progress
from mmlab.runner.runner import run_specs
from mmlab.runner.sync import sync_folder
from mmlab.store import DatabaseReplaced
from mmlab.store.address import parse_address

#: Checkpoints, before which the claim is renewed.
OFTEN = ("train.emit_every=1", "train.checkpoint_every=1")


class Deleting(Shown):
    """Takes the database away as soon as training has begun."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        if progress.step == 2:
            self.path.rename(self.path.with_suffix(".away"))


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_run_is_queued_and_goes_on_once_the_file_is_back(
    sqlite_lab: Lab, in_process: bool
) -> None:
    path = parse_address(sqlite_lab.db).path
    assert path is not None
    spec, display = sqlite_lab.write("cell"), Deleting(path)
    with pytest.raises(DatabaseReplaced, match="no such file"):
        run_specs([spec], here(sqlite_lab.db, *OFTEN, in_process=in_process), display)
    assert not path.exists()
    (sealed,) = (note for note in display.notes if "the run has ended" in note)
    assert f"found: sqlite:///{path}: the database was deleted or replaced while it was used" in (
        sealed
    )
    assert "used (no such file)\n  allowed: " in sealed
    assert sealed.count("next: ") == sealed.count("allowed: ") == 1
    os.replace(path.with_suffix(".away"), path)
    with sqlite_lab.store() as store:
        (synced,) = sync_folder(store, sqlite_lab.runs)
    assert synced.reason.endswith("is queued again")
    assert sqlite_lab.detail("cell").run.status == "queued"
    assert sqlite_lab.statuses(spec, *OFTEN) == ["done"]
    outcomes = [attempt.outcome for attempt in sqlite_lab.detail("cell").attempts]
    assert outcomes == ["interrupted", "ok"]
