"""Commands that share their cells: each waits for what the other has, and both end well."""

from __future__ import annotations

import uuid

import pytest
from support.chaos.commands import commands, marked, wait_until
from support.lab import TOY, Lab

pytestmark = pytest.mark.slow


def test_two_commands_with_one_spec_do_each_cell_once_and_both_end_well(lab: Lab) -> None:
    spec, script = (
        lab.write("toy", TOY, "[sweep]\nseeds = [0, 1, 2, 3, 4, 5]\n"),
        lab.script("1 sleep"),
    )
    if lab.db.startswith("sqlite"):
        (lab.folder / "mmlab.db").unlink()  # they also make it at once
    with commands(lab, uuid.uuid4().hex) as group:
        both = [group.start("run", spec.name, "--set", script) for _ in range(2)]
        assert [one.wait(180) for one in both] == [0, 0], group.said
        assert wait_until(lambda: not marked(group.mark), 10), marked(group.mark)
    with lab.store() as store:
        details = [store.run_detail(run_id) for run_id in store.run_statuses()]
    assert [one.run.status for one in details] == ["done"] * 6
    attempts = [attempt for one in details for attempt in one.attempts]
    assert [attempt.outcome for attempt in attempts] == ["ok"] * 6
    assert len({attempt.worker for attempt in attempts}) == 2, "one has done all"
    assert lab.row_counts()["evaluations"] == 6
    assert lab.trained_steps == 36
    assert lab.statuses(spec, script) == ["skipped"] * 6
