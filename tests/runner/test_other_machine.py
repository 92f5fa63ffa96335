"""Cells that another machine has submitted, and that this one cannot execute: they go back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.lab import Lab, here

from mmlab.runner.coordinator import Outcome
from mmlab.runner.runner import work


def submitted(lab: Lab, *settings: str) -> Path:
    """A spec whose cell is queued, with nobody at it."""
    spec = lab.write("toy")
    assert lab.statuses(spec, *settings, max_cells=0) == ["queued"]
    return spec


def worked(lab: Lab) -> list[Outcome]:
    """What a worker makes of the queue."""
    return work(here(lab.db), lab.shown)


def given_back(lab: Lab) -> str:
    """Why the only cell was given back: it is queued as if nobody had had it."""
    with lab.store() as store:
        ((key, *_),) = lab.dump()["queue"]
        state = store.cell_states([key])[key]
        assert (state.status, state.run_id, store.runs()) == ("queued", None, [])
    assert lab.shown.ended[-1].status == "given back"
    return str(state.reason)


def test_a_cell_for_more_cores_goes_back(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    cores = {0, 1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores)
    submitted(sqlite_lab, "train.workers=5")
    cores.remove(1)
    assert worked(sqlite_lab) == []
    said = given_back(sqlite_lab)
    assert "train.workers" in said
    assert "found: workers = 5, and 1 core\n" in said
    assert "allowed: 0 to 4: at most 4 for each core" in said


def test_a_cell_whose_plugin_is_missing_goes_back(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(sqlite_lab)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [one for one in sys.path if Path(one).name != "site"])
        assert worked(sqlite_lab) == []
    assert "clusters" in given_back(sqlite_lab)
    assert [one.status for one in worked(sqlite_lab)] == ["done"]
