"""The queue of cells: who executes which, in which order, on SQLite and on Postgres."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select
from support.store_values import (
    begun,
    claimed,
    dump,
    evaluation,
    finish,
    identity,
    points,
    queued,
    taken,
)

from mmlab.store import CellClaim, Claim, LeaseLost, Store, open_store, tables, views


def status(store: Store, place: int) -> str:
    """How a cell of the queue stands."""
    return store.cell_states([place])[place].status


def test_a_submitted_cell_comes_out_of_the_queue_whole(store: Store) -> None:
    asked = queued(7, waits_for=(), asked_hash="abc", priority=3)
    (place,) = store.submit_cells([asked])
    (waiting,) = store.queued_cells()
    assert waiting.cell == asked.cell
    assert (waiting.id, waiting.status, waiting.priority) == (place, "queued", 3)
    assert (waiting.asked_hash, waiting.rerun, waiting.run_id) == ("abc", False, None)
    assert (waiting.reason, waiting.deaths, list(waiting.waits_for)) == (None, 0, [])
    cell = store.claim_cell("me", 60)
    assert cell is not None
    assert cell.queued == replace(waiting, status="running")
    assert (cell.id, cell.fence, cell.worker, cell.lease_seconds) == (place, 1, "me", 60)
    assert store.claim_cell("other", 60) is None


def test_a_cell_submitted_again_keeps_its_place(store: Store, database_url: str) -> None:
    places = store.submit_cells([queued(0), queued(1), queued(0)])
    assert places[0] == places[2] != places[1]
    before = dump(database_url)
    assert store.submit_cells([queued(1), queued(0)]) == [places[1], places[0]]
    assert dump(database_url) == before


def test_submitting_nothing_is_nothing(store: Store) -> None:
    assert store.submit_cells([]) == []
    assert store.cell_states([]) == {}
    assert store.queued_cells() == []


def test_a_second_submission_may_raise_a_priority_but_never_lowers_it(store: Store) -> None:
    store.submit_cells([queued(0, priority=2), queued(1, priority=2)])
    store.submit_cells([queued(0, priority=1), queued(1, priority=3, asked_hash="new")])
    found = {one.cell.seed: (one.priority, one.asked_hash) for one in store.queued_cells()}
    assert found == {0: (2, None), 1: (3, "new")}


def test_a_cell_that_a_process_has_is_not_submitted_twice(store: Store, database_url: str) -> None:
    places = store.submit_cells([queued()])
    taken(store)
    before = dump(database_url)
    assert store.submit_cells([queued(priority=9)]) == places
    assert dump(database_url) == before


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_a_cell_that_has_ended_is_queued_again_in_its_place(store: Store, end: str) -> None:
    """A finished sweep may be run again and again: the queue grows by nothing."""
    places = store.submit_cells([queued(priority=3)])
    store.end_cell(taken(store), end, reason="so")
    assert store.submit_cells([queued(priority=1)]) == places
    (one,) = store.queued_cells()
    assert (one.status, one.priority, one.reason) == ("queued", 1, None)


def test_cells_are_claimed_by_priority_and_then_in_their_order(store: Store) -> None:
    store.submit_cells([queued(seed, priority=seed % 3) for seed in range(7)])
    order = [taken(store).queued.cell.seed for _ in range(7)]
    assert order == [2, 5, 1, 4, 0, 3, 6]


@pytest.mark.parametrize(("priority", "order"), [(0, [0, 1]), (1, [1, 0]), (-1, [0, 1])])
def test_an_abandoned_cell_is_claimed_in_its_own_turn(
    store: Store, priority: int, order: list[int]
) -> None:
    store.submit_cells([queued(0)])
    taken(store, lease_seconds=0.05)
    store.submit_cells([queued(1, priority=priority)])
    time.sleep(0.1)
    for seed in order:
        # A server that has just started counts leases of its own age only.
        cell = taken(store, lease_seconds=0.05)
        assert store.renew_cell(cell, 60)
        assert cell.queued.cell.seed == seed


def test_a_process_may_ask_for_some_cells_and_without_others(store: Store) -> None:
    places = store.submit_cells([queued(seed) for seed in range(5)])
    cell = store.claim_cell("me", 60, among=places[1:4], without=[places[1]])
    assert cell is not None
    assert cell.id == places[2]
    assert store.claim_cell("me", 60, among=[]) is None
    assert store.claim_cell("me", 60, among=[places[2]]) is None
    assert store.claim_cell("me", 60, without=places) is None
    last = store.claim_cell("me", 60, without=places[:4])
    assert last is not None
    assert last.id == places[4]


@pytest.mark.parametrize("step", [1, 2, 5, 40])
def test_places_with_and_without_gaps_are_chosen_from_alike(store: Store, step: int) -> None:
    places = store.submit_cells([queued(seed) for seed in range(40)])
    chosen = places[step - 1 :: step]
    found = [store.claim_cell("me", 60, among=chosen[::-1]) for _ in range(3)]
    assert [cell.id for cell in found if cell] == chosen[:3]
    others = store.claim_cell("me", 60, without=chosen)
    assert (others.id if others else None) == next((p for p in places if p not in chosen), None)


@pytest.mark.slow
def test_ten_thousand_cells_are_queued_and_chosen_from(store: Store) -> None:
    places = store.submit_cells([queued(seed) for seed in range(10_000)])
    assert places == sorted(set(places))
    assert len(store.cell_states(places)) == 10_000
    cell = store.claim_cell("me", 60, without=places[:-1])
    assert cell is not None
    assert (cell.id, cell.queued.cell.seed) == (places[-1], 9_999)
    first = store.claim_cell("me", 60, among=places[5_000::2])
    assert first is not None
    assert first.id == places[5_000]
    assert taken(store).id == places[0]


def test_many_processes_at_once_claim_every_cell_once(database_url: str) -> None:
    with open_store(database_url) as store:
        places = store.submit_cells([queued(seed) for seed in range(48)])
    start = threading.Barrier(16)

    def work(number: int) -> list[int]:
        found: list[int] = []
        with open_store(database_url) as store:  # connections of its own, as a process has
            start.wait(30)
            while (cell := store.claim_cell(f"worker {number}", 60)) is not None:
                found.append(cell.id)
        return found

    with ThreadPoolExecutor(16) as pool:
        found = [place for places in pool.map(work, range(16)) for place in places]
    assert sorted(found) == places
    with open_store(database_url) as store:
        assert store.frame(select(tables.queue.c.fence).distinct()).rows() == [(1,)]


def test_a_cell_becomes_a_run_and_both_are_done_at_once(store: Store) -> None:
    (place,) = store.submit_cells([queued(4)])
    cell = taken(store)
    claim = begun(store, cell)
    state = store.cell_states([place])[place]
    assert (state.run_id, state.status, state.seed) == (claim.run_id, "running", 4)
    assert state.lease_until is not None
    finish(store, claim, cell=cell)
    state = store.cell_states([place])[place]
    assert (state.run_id, state.status, state.lease_until) == (claim.run_id, "done", None)
    assert store.run_detail(claim.run_id).run.status == "done"
    assert store.queued_cells() == []


def test_finishing_twice_with_one_claim_records_once(store: Store, database_url: str) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    claim = begun(store, cell)
    finish(store, claim, cell=cell)
    before = dump(database_url)
    finish(store, claim, cell=cell)
    assert dump(database_url) == before


def test_a_failed_run_fails_its_cell(store: Store) -> None:
    (place,) = store.submit_cells([queued()])
    cell = taken(store)
    claim = begun(store, cell)
    assert store.fail(claim, "oom", "out of\0 memory", "Traceback", cell)
    state = store.cell_states([place])[place]
    assert (state.status, state.reason) == ("failed", "out of\\x00 memory")
    assert store.run_detail(claim.run_id).run.error == "out of\\x00 memory"


def test_a_released_run_puts_its_cell_back_and_goes_on_as_the_same_run(store: Store) -> None:
    (place,) = store.submit_cells([queued()])
    cell = taken(store)
    claim = begun(store, cell)
    assert store.release(claim, "preempted", cell)
    assert status(store, place) == "queued"
    again = taken(store)
    assert (again.id, again.fence, again.queued.run_id) == (place, 2, claim.run_id)
    resumed = begun(store, again)
    assert (resumed.run_id, resumed.fence) == (claim.run_id, 2)


def test_a_cell_given_back_is_untouched_but_for_the_reason(store: Store) -> None:
    (place,) = store.submit_cells([queued()])
    cell = taken(store)
    assert store.give_back(cell, "no plugin 'clip' \ud800 here")
    (waiting,) = store.queued_cells()
    assert (waiting.status, waiting.reason) == ("queued", "no plugin 'clip' \\ud800 here")
    assert store.runs() == []
    again = taken(store)
    assert (again.id, again.queued.reason) == (place, None)


def test_a_password_in_a_reason_is_not_kept(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        (place,) = store.submit_cells([queued()])
        store.give_back(taken(store), f"cannot read {postgres_url}")
        reason = store.cell_states([place])[place].reason
    assert reason is not None
    assert "mmlab-test" not in reason


Write = Callable[[Store, CellClaim, Claim], object]

#: Everything that the holder of a cell can do; each says so if the claim is void.
WRITES: dict[str, Write] = {
    "renew_cell": lambda store, cell, run: store.renew_cell(cell),
    "renew": lambda store, cell, run: store.renew(run, 60, cell),
    "give_back": lambda store, cell, run: store.give_back(cell, "late"),
    "end_cell": lambda store, cell, run: store.end_cell(cell, "done", run_id=run.run_id),
    "block": lambda store, cell, run: store.end_cell(cell, "blocked", reason="late"),
    "release": lambda store, cell, run: store.release(run, "preempted", cell),
    "fail": lambda store, cell, run: store.fail(run, "error", "late", "", cell),
    "died": lambda store, cell, run: store.died(cell, run, "9", "late", max_attempts=1),
    "claim": lambda store, cell, run: store.claim(run.run_id, "worker", 60, cell=cell),
}
RAISES: tuple[Write, ...] = (
    lambda store, cell, run: store.submit(identity("other"), cell=cell),
    lambda store, cell, run: finish(store, run, cell=cell),
)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["taken over", "cancelled"])
def test_a_void_claim_writes_nothing(store: Store, database_url: str, is_cancelled: bool) -> None:
    """Run and worker are the same: the fence of the cell alone tells the two claims apart."""
    store.submit_cells([queued()])
    old = taken(store, lease_seconds=0.05)
    run = begun(store, old)
    if is_cancelled:
        store.cancel(["emoji"])
    else:
        time.sleep(0.1)
        assert taken(store, lease_seconds=0.05).fence == old.fence + 1
    before = dump(database_url)
    for name, write in WRITES.items():
        assert not write(store, old, run), name
    words = "cancelled" if is_cancelled else "no longer holds the cell"
    for write in RAISES:
        with pytest.raises(LeaseLost, match=words):
            write(store, old, run)
    assert dump(database_url) == before


def test_a_void_claim_of_a_run_ends_no_cell(store: Store, database_url: str) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    old = begun(store, replace(cell, lease_seconds=0.05))
    time.sleep(0.1)
    assert store.claim(old.run_id, "worker", 0.05) is not None
    with pytest.raises(LeaseLost):
        store.finish(old, [evaluation()], {"zero_shot": "hash"}, cell=cell)
    assert status(store, cell.id) == "running"


def test_renewing_a_run_renews_its_cell(store: Store) -> None:
    store.submit_cells([queued()])
    cell = taken(store, lease_seconds=0.05)
    claim = begun(store, cell)
    assert store.renew(claim, 60, cell)
    time.sleep(0.1)
    assert store.claim_cell("other", 60) is None
    assert store.claim(claim.run_id, "other", 60) is None


def test_a_renewed_cell_is_held_before_there_is_a_run(store: Store) -> None:
    store.submit_cells([queued()])
    cell = taken(store, lease_seconds=0.05)
    assert store.renew_cell(cell, 60)
    time.sleep(0.1)
    assert store.claim_cell("other", 60) is None


def test_an_abandoned_cell_is_taken_over_with_its_run(store: Store) -> None:
    store.submit_cells([queued()])
    old = begun(store, taken(store, lease_seconds=0.05))
    store.record_points(old, points(0.5))
    time.sleep(0.1)
    cell = taken(store, lease_seconds=0.05)  # a server that has just started counts no longer ones
    new = begun(store, cell)
    assert (new.run_id, new.fence) == (old.run_id, 2)
    assert cell.queued.deaths == 0
    assert [a.outcome for a in store.run_detail(old.run_id).attempts] == ["lost", None]


def test_a_rerun_becomes_one_replicate_however_often_it_is_claimed(store: Store) -> None:
    finish(store, claimed(store))
    first, second = store.submit_cells([queued(rerun=True), queued(rerun=True)])
    assert first != second
    cell = taken(store)
    run = store.submit(identity(), cell=cell)
    assert run.replicate == 1
    store.give_back(cell, "no GPU")
    again = taken(store)
    assert again.id == first
    assert store.submit(identity(), cell=again) == run
    assert store.submit(identity(), cell=taken(store)).replicate == 2


def test_a_rerun_whose_identity_has_changed_becomes_another_run(store: Store) -> None:
    store.submit_cells([queued(rerun=True)])
    cell = taken(store)
    before = store.submit(identity("before"), cell=cell)
    store.give_back(cell)
    after = store.submit(identity("after"), cell=(cell := taken(store)))
    assert after.train_hash != before.train_hash
    assert store.cell_states([cell.id])[cell.id].run_id == after.run_id


def test_a_cell_without_a_wish_for_a_rerun_becomes_the_run_that_is_done(store: Store) -> None:
    done = claimed(store)
    finish(store, done)
    store.submit_cells([queued()])
    run = store.submit(identity(), cell=taken(store))
    assert (run.run_id, run.status) == (done.run_id, "done")


def test_a_cell_that_dies_equally_three_times_is_failed(store: Store) -> None:
    (place,) = store.submit_cells([queued()])
    for n in range(1, 4):
        cell = taken(store)
        assert cell.queued.deaths == n - 1
        claim = begun(store, cell)
        is_failed = store.died(cell, claim, "signal 11", "it crashed", "stack", max_attempts=3)
        assert is_failed == (n == 3)
    state = store.cell_states([place])[place]
    assert state.status == "failed"
    assert state.reason is not None
    assert "died in the same way 3 times in a row" in state.reason
    assert "found: signal 11" in state.reason
    assert state.reason.endswith("it crashed")
    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, detail.run.error) == ("failed", state.reason)
    assert [(a.outcome, a.traceback) for a in detail.attempts] == [("died", "stack")] * 3
    assert store.claim_cell("other", 60) is None


def test_deaths_that_differ_are_counted_anew(store: Store) -> None:
    (place,) = store.submit_cells([queued()])
    for signature, count in (("9", 1), ("9", 2), ("11", 1), ("9", 1)):
        assert not store.died(taken(store), None, signature, "", max_attempts=3)
        (waiting,) = store.queued_cells()
        assert (waiting.id, waiting.deaths) == (place, count)
        assert waiting.reason == f"its process died: {signature}"


def test_neither_lost_leases_nor_cells_given_back_count_as_deaths(store: Store) -> None:
    store.submit_cells([queued()])
    store.died(taken(store), None, "9", "", max_attempts=3)
    taken(store, lease_seconds=0.05)
    time.sleep(0.1)
    store.give_back(taken(store, lease_seconds=0.05), "no GPU")
    assert taken(store).queued.deaths == 1


def test_a_death_before_the_run_goes_on_fails_the_run_of_an_earlier_claim(store: Store) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    claim = begun(store, cell)
    assert not store.died(cell, claim, "9", "", max_attempts=2)
    assert store.run_detail(claim.run_id).run.status == "queued"
    assert store.died(taken(store), None, "9", "", max_attempts=2)
    detail = store.run_detail(claim.run_id)
    assert detail.run.status == "failed"
    assert [a.outcome for a in detail.attempts] == ["died"]


def test_a_process_that_was_ended_for_its_time_is_told_apart(store: Store) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    claim = begun(store, cell)
    store.died(cell, claim, "timeout", "no progress", max_attempts=3, outcome="timeout")
    assert [a.outcome for a in store.run_detail(claim.run_id).attempts] == ["timeout"]


def test_the_view_shows_a_cell_once_whether_it_waits_or_is_a_run(store: Store) -> None:
    store.submit_cells([queued(0), queued(1)])
    begun(store, taken(store))
    row = views.submitted_cells.c
    query = select(row.seed, row.status, row.run_id).order_by(row.seed)
    begun_one = store.runs()[0].run_id
    assert store.frame(query).rows() == [(0, "running", begun_one), (1, "queued", None)]


def test_a_database_has_an_id_of_its_own_and_one_folder_of_runs(
    store: Store, database_url: str
) -> None:
    assert len(store.database_id) == 32
    assert store.runs_token is None
    assert store.adopt_runs("mine") == "mine"
    assert store.adopt_runs("theirs") == "mine"
    assert store.adopt_runs("theirs", replace=True) == "theirs"
    with open_store(database_url) as again:
        assert (again.database_id, again.runs_token) == (store.database_id, "theirs")
