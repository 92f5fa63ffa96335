"""Holding a run: renewed in the background, noticed when lost, and nothing written after that."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from sqlalchemy import create_engine, func, select, update
from support.lab import Lab, Shown, here
from support.store_values import claimed, finish

from mmlab.errors import RunError
from mmlab.records import Progress
from mmlab.runner.claimed import Lease
from mmlab.runner.runner import run_specs
from mmlab.store import Claim, LeaseLost, Store
from mmlab.store.address import parse_address
from mmlab.store.tables import metrics, runs


def holding(store: Store, claim: Claim) -> Lease:
    """A lease of a claimed run."""
    lease = Lease(store, claim.lease_seconds)
    lease.run = claim
    return lease


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(store: Store) -> None:
    claim = claimed(store, lease_seconds=0.4)
    with holding(store, claim) as lease:
        time.sleep(0.9)
        assert store.claim(claim.run_id, "another", 0.4) is None
        lease.check()
        finish(store, claim)
    assert store.run_detail(claim.run_id).run.status == "done"


def test_after_the_work_the_lease_runs_out(store: Store) -> None:
    claim = claimed(store, lease_seconds=0.3)
    with holding(store, claim):
        pass
    time.sleep(0.4)
    assert store.claim(claim.run_id, "another", 0.3) is not None


def test_a_lost_lease_is_noticed_at_the_next_check(store: Store) -> None:
    claim = claimed(store, lease_seconds=0.2)
    time.sleep(0.3)
    assert store.claim(claim.run_id, "another", 0.2) is not None
    with holding(store, claim) as lease:
        time.sleep(0.2)
        with pytest.raises(RunError, match="another process has taken it over") as caught:
            lease.check()
        assert caught.value.reason == "lost"
        with pytest.raises(LeaseLost):
            finish(store, claim)


@dataclass
class Thief(Shown):
    """Gives the run to another worker when training first says something."""

    db: str = ""
    stolen: list[bool] = field(default_factory=list)
    points: int = 0  # in the database by then: on a slow machine the first may be

    def progress(self, progress: Progress) -> None:
        if self.stolen:
            return
        engine = create_engine(parse_address(self.db).url)
        with engine.begin() as connection:
            changed = {"worker": "thief", "fence": runs.c.fence + 1}
            connection.execute(update(runs).values(changed))
            self.points = connection.scalar(select(func.count()).select_from(metrics)) or 0
        engine.dispose()
        self.stolen.append(True)


def test_a_run_that_was_taken_over_is_left_to_the_other_process(lab: Lab) -> None:
    spec, thief = lab.write("toy"), Thief(db=lab.db)
    (outcome,) = run_specs([spec], here(lab.db, waits=False), thief)
    assert outcome.status == "held"
    assert "another process has taken it over" in (outcome.error or "")
    detail = lab.detail("toy")
    assert (detail.run.status, detail.run.fence) == ("running", 2)
    assert (detail.evaluations, detail.artifacts) == ([], [])
    assert lab.row_counts()["metrics"] == thief.points


def test_no_weights_are_written_once_another_process_has_the_run(sqlite_lab: Lab) -> None:
    spec, thief = sqlite_lab.write("toy"), Thief(db=sqlite_lab.db)
    run_specs([spec], here(sqlite_lab.db, waits=False), thief)
    assert thief.stolen
    assert list(sqlite_lab.runs.rglob("*.safetensors")) == []
