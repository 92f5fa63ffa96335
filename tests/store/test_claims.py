"""Who executes a run: claims, leases, fences, on SQLite and on Postgres, with real processes."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import pytest
from sqlalchemy import select
from support.chaos.clocks import clock_that_is_off
from support.store_values import claimed, dump, evaluation, finish, identity, points

from mmlab.store import LeaseLost, Store, open_store, tables


def test_a_submitted_run_waits_in_the_queue(store: Store) -> None:
    run = store.submit(identity())
    assert (run.status, run.experiment, run.fence, run.replicate) == ("queued", "emoji", 0, 0)
    assert run.axes == {"fusion": {"use": "gating"}}


def test_submitting_a_cell_again_gives_the_same_run(store: Store, database_url: str) -> None:
    first = store.submit(identity())
    before = dump(database_url)
    assert store.submit(identity()) == first
    assert dump(database_url) == before


def test_a_rerun_is_the_next_replicate(store: Store) -> None:
    store.submit(identity())
    assert [store.submit(identity(), rerun=True).replicate for _ in range(2)] == [1, 2]


def test_a_done_replicate_is_preferred_to_an_earlier_failed_one(store: Store) -> None:
    store.fail(claimed(store), "error", "no", "")
    again = store.submit(identity(), rerun=True)
    claim = store.claim(again.run_id, "worker", 60)
    assert claim is not None
    finish(store, claim)
    assert store.submit(identity()).run_id == again.run_id


def test_a_running_run_cannot_be_claimed(store: Store) -> None:
    held = claimed(store)
    assert store.claim(held.run_id, "other", 60) is None


def test_a_done_run_cannot_be_claimed(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    assert store.claim(held.run_id, "other", 60) is None


def test_a_failed_run_keeps_why_and_can_be_claimed_again(store: Store) -> None:
    held = claimed(store)
    assert store.fail(held, "nan", "loss is\0 not finite \ud800", "Traceback ...")
    detail = store.run_detail(held.run_id)
    assert detail.run.status == "failed"
    assert detail.run.error == "loss is\\x00 not finite \\ud800"
    assert [a.outcome for a in detail.attempts] == ["nan"]
    again = store.claim(held.run_id, "other", 60)
    assert again is not None
    assert again.fence == 2
    assert store.run_detail(held.run_id).run.error is None


def test_a_released_run_is_back_in_the_queue(store: Store) -> None:
    held = claimed(store)
    assert store.release(held)
    assert store.run_detail(held.run_id).run.status == "queued"
    assert store.run_detail(held.run_id).attempts[0].outcome == "interrupted"


def test_a_claim_stores_its_provenance(store: Store) -> None:
    run = store.submit(identity())
    store.claim(run.run_id, "worker", 60, {"git": {"commit": "abc"}, "speed": float("nan")})
    assert store.run_detail(run.run_id).provenance == {"git": {"commit": "abc"}, "speed": "nan"}


def test_an_abandoned_run_is_taken_over_and_its_old_owner_writes_nothing(
    store: Store, database_url: str
) -> None:
    old = claimed(store, lease_seconds=0.1)
    store.record_points(old, points(0.5, 0.25))
    time.sleep(0.15)
    new = store.claim(old.run_id, "other", 0.1)
    assert new is not None
    assert new.fence == old.fence + 1
    before = dump(database_url)
    with pytest.raises(LeaseLost):
        store.record_points(old, points(9.0))
    with pytest.raises(LeaseLost):
        store.rewind(old, 0)
    with pytest.raises(LeaseLost):
        store.finish(old, [evaluation()], {"zero_shot": "hash"})
    assert not store.renew(old, 60)
    assert not store.fail(old, "error", "late", "")
    assert not store.release(old)
    assert dump(database_url) == before
    assert len(before["metrics"]) == 2
    assert [a.outcome for a in store.run_detail(old.run_id).attempts] == ["lost", None]


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_run_is_rewound_to_a_step(store: Store, database_url: str, step: int) -> None:
    other, held = claimed(store, "other"), claimed(store)
    for claim in (other, held):
        store.record_points(claim, points(3.0, 2.0, 1.0))
    store.rewind(held, step)
    left = [(row[1], row[4]) for row in dump(database_url)["metrics"]]
    assert len(left) == 3 + step, left


def test_a_renewed_lease_holds(store: Store) -> None:
    held = claimed(store, lease_seconds=0.1)
    assert store.renew(held, 60)
    time.sleep(0.15)
    assert store.claim(held.run_id, "other", 60) is None


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_days_off_neither_takes_nor_loses_a_run(
    store: Store, database_url: str, days: int
) -> None:
    held = claimed(store, "held")
    with clock_that_is_off(days), open_store(database_url) as other:
        assert other.claim(held.run_id, "another", 60) is None
        brief = claimed(other, "brief", lease_seconds=0.5)
    with open_store(database_url) as right:
        assert right.claim(brief.run_id, "third", 0.5) is None
        with clock_that_is_off(days):
            assert store.renew(brief, 0.5)
        time.sleep(0.6)
        assert right.claim(brief.run_id, "third", 0.5) is not None
    with clock_that_is_off(days):
        assert not store.renew(brief, 60)
        assert store.renew(held, 60)
    one, two = (store.find_run(claim.run_id).created_at for claim in (held, brief))
    assert 0 < (two - one).total_seconds() < 60


def test_recording_points_renews_the_lease(store: Store) -> None:
    held = claimed(store, lease_seconds=0.4)
    for value in (3.0, 2.0, 1.0):
        time.sleep(0.2)
        store.record_points(held, points(value))
    assert store.claim(held.run_id, "other", 60) is None


def test_an_owner_whose_lease_ran_out_goes_on_if_nobody_took_the_run(store: Store) -> None:
    held = claimed(store, lease_seconds=0.05)
    time.sleep(0.1)
    store.record_points(held, points(0.5))
    finish(store, held)
    assert store.run_detail(held.run_id).run.status == "done"


def test_finishing_twice_with_one_claim_records_once(store: Store, database_url: str) -> None:
    held = claimed(store)
    finish(store, held)
    before = dump(database_url)
    finish(store, held)
    assert dump(database_url) == before


def _execute_all(url: str, count: int, start: Barrier, taken: Queue[list[str]]) -> None:
    with open_store(url) as store:
        start.wait()
        runs = [store.submit(identity(seed=seed)) for seed in range(count)]
        claims = [store.claim(run.run_id, "worker", 60) for run in runs]
        for claim in claims:
            if claim is not None:
                store.record_points(claim, points(1.0, 0.5))
                finish(store, claim)
        taken.put([claim.run_id for claim in claims if claim is not None])


@pytest.mark.slow
def test_processes_at_once_execute_and_record_every_run_exactly_once(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start, taken = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_execute_all, args=(database_url, 20, start, taken))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    claimed_ids = [run_id for _ in workers for run_id in taken.get(timeout=60)]
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(claimed_ids) == len(set(claimed_ids)) == 20
    with open_store(database_url) as store:
        assert len(store.runs(status="done")) == 20
        assert store.frame(select(tables.samples)).height == 5
        assert all(run.fence == 1 for run in store.runs())
