"""Runs that are tried again, or cancelled, because somebody asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.store_values import begun, claimed, dump, finish, identity, points, queued, taken

from mmlab.errors import UsageError
from mmlab.store import LeaseLost, Store, Submission


def failed(store: Store, seed: int = 0) -> str:
    """The id of a run whose cell was queued and which failed."""
    store.submit_cells([queued(seed, priority=4)])
    cell = taken(store)
    run = begun(store, cell)
    store.fail(run, "error", "no", "", cell)
    return run.run_id


def test_a_failed_run_is_tried_again_as_the_same_run(store: Store) -> None:
    run_id = failed(store)
    (state,) = store.retry([run_id[:8]])
    assert (state.status, state.run_id, state.experiment) == ("queued", run_id, "emoji")
    cell = taken(store)
    assert cell.id == state.id
    assert cell.queued.cell == queued().cell
    assert (cell.queued.priority, cell.queued.deaths) == (4, 0)
    run = begun(store, cell)
    assert (run.run_id, run.fence) == (run_id, 2)
    finish(store, run, cell=cell)
    assert [a.outcome for a in store.run_detail(run_id).attempts] == ["error", "ok"]


def test_a_failed_replicate_is_tried_again_as_that_replicate(store: Store) -> None:
    finish(store, claimed(store))
    store.submit_cells([queued(rerun=True)])
    cell = taken(store)
    run = store.submit(identity(), cell=cell)
    claim = store.claim(run.run_id, "worker", 60, cell=cell)
    assert claim is not None
    store.fail(claim, "error", "no", "", cell)
    store.retry(["@last"])
    assert begun(store, taken(store)).run_id == run.run_id
    assert len(store.runs()) == 2


def test_a_run_of_before_the_queue_is_tried_again_from_its_newest_cell(store: Store) -> None:
    held = claimed(store)
    moved = replace(identity().cell, resolved={"moved": True})
    store.submit(replace(identity(), cell=moved))
    store.fail(held, "error", "no", "")
    store.retry([held.run_id])
    cell = taken(store)
    assert cell.queued.cell == moved
    assert store.submit(replace(identity(), cell=moved), cell=cell).run_id == held.run_id


def test_all_that_went_wrong_in_an_experiment_is_tried_again(store: Store) -> None:
    store.submit_cells([queued(seed) for seed in range(5)])
    done, bad, early, gone = (taken(store) for _ in range(4))
    finish(store, begun(store, done), cell=done)
    store.fail(begun(store, bad), "error", "no", "", bad)
    store.end_cell(early, "failed", reason="its data is not here")
    store.end_cell(gone, "cancelled")
    store.end_cell(taken(store), "blocked", reason="no weights")
    found = store.retry(["emoji"])
    assert [state.status for state in found] == ["queued"] * 4
    assert sorted(taken(store).queued.cell.seed for _ in found) == [1, 2, 3, 4]
    assert store.claim_cell("worker", 60) is None


def test_a_done_cell_that_failed_when_it_was_asked_for_again_is_tried_again(
    store: Store,
) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    run = begun(store, cell)
    finish(store, run, cell=cell)
    for name in ("emoji", run.run_id):
        store.submit_cells([queued()])
        store.end_cell(taken(store), "failed", reason="its data is gone")
        (state,) = store.retry([name])
        assert (state.id, state.status, state.reason) == (cell.id, "queued", None)


def test_a_run_whose_cell_has_become_another_is_tried_again_in_its_place(store: Store) -> None:
    before = failed(store)
    (place,) = store.submit_cells([queued()])
    cell = taken(store)
    run = store.submit(identity("changed data"), cell=cell)
    claim = store.claim(run.run_id, "worker", 60, cell=cell)
    assert claim is not None
    finish(store, claim, cell=cell)
    (state,) = store.retry([before])
    assert (state.id, state.status) == (place, "queued")


def test_a_former_version_of_an_experiment_is_not_tried_again(store: Store) -> None:
    old = failed(store)
    store.submit_cells([queued(1)])
    store.end_cell(taken(store), "failed")
    cell = queued(2).cell
    newer = replace(cell, spec=replace(cell.spec, text="# newer"))
    store.submit_cells([Submission(newer)])
    claim = taken(store)
    run = store.submit(replace(identity("newer"), cell=newer, group_hash="new"), cell=claim)
    held = store.claim(run.run_id, "worker", 60, cell=claim)
    assert held is not None
    store.fail(held, "error", "no", "", claim)
    (state,) = store.retry(["emoji"])
    assert state.run_id == run.run_id != old


def test_trying_again_what_is_queued_already_adds_nothing(store: Store, database_url: str) -> None:
    run_id = failed(store)
    store.retry([run_id])
    before = dump(database_url)
    for name in (run_id, "emoji"):
        assert [state.run_id for state in store.retry([name])] == [run_id]
    assert dump(database_url) == before


def test_a_failed_run_whose_cell_was_submitted_anew_keeps_that_place(store: Store) -> None:
    run_id = failed(store)
    (place,) = store.submit_cells([queued()])
    assert [state.id for state in store.retry([run_id])] == [place]


def test_other_runs_cannot_be_tried_again_and_nothing_is(store: Store, database_url: str) -> None:
    bad = failed(store)
    held = {status: claimed(store, status) for status in ("done", "running", "queued")}
    finish(store, held["done"])
    store.release(held["queued"])
    before = dump(database_url)
    for status, claim in held.items():
        with pytest.raises(UsageError) as caught:
            store.retry([bad, claim.run_id])
        assert f"found: {status}" in str(caught.value)
        assert "allowed: failed, cancelled or blocked" in str(caught.value)
    assert dump(database_url) == before


def test_names_of_nothing_are_refused(store: Store) -> None:
    failed(store)
    for ask in (store.retry, store.cancel):
        with pytest.raises(UsageError, match="there is no such run"):
            ask(["emojo"])
        with pytest.raises(UsageError):
            ask([""])


def test_an_experiment_without_anything_to_do_is_told_with_what_it_has(store: Store) -> None:
    finish(store, claimed(store, "a"))
    finish(store, claimed(store, "b"))
    store.submit_cells([queued(9)])
    with pytest.raises(UsageError, match="found: 2 done, 1 queued"):
        store.retry(["emoji"])
    store.cancel(["emoji"])
    with pytest.raises(UsageError, match="found: 1 cancelled, 2 done"):
        store.cancel(["emoji"])


def test_a_cancelled_experiment_has_nothing_open(store: Store) -> None:
    store.submit_cells([queued(seed) for seed in range(4)])
    done, held, blocked = taken(store), taken(store), taken(store)
    finish(store, begun(store, done), cell=done)
    run = begun(store, held)
    store.end_cell(blocked, "blocked", reason="no")
    lone = claimed(store, "lone")
    store.release(lone)
    found = store.cancel(["emoji"])
    assert [(state.id, state.status) for state in found[:3]] == [
        (held.id, "cancelled"),
        (blocked.id, "cancelled"),
        (blocked.id + 1, "cancelled"),
    ]
    assert [(state.id, state.run_id) for state in found[3:]] == [(None, lone.run_id)]
    assert store.queued_cells() == []
    assert sorted(one.status for one in store.runs()) == ["cancelled", "cancelled", "done"]
    assert [a.outcome for a in store.run_detail(run.run_id).attempts] == ["cancelled"]


def test_the_holder_of_a_cancelled_run_learns_that_it_was_cancelled(store: Store) -> None:
    store.submit_cells([queued()])
    cell = taken(store)
    run = begun(store, cell)
    assert not store.is_cancelled(run.run_id)
    store.cancel([run.run_id])
    assert store.is_cancelled(run.run_id)
    assert not store.renew(run, 60, cell)
    assert not store.renew_cell(cell)
    with pytest.raises(LeaseLost, match="the run was cancelled"):
        store.record_points(run, points(1.0))
    with pytest.raises(LeaseLost, match="the cell was cancelled"):
        finish(store, run, cell=cell)


def test_a_run_that_was_taken_over_is_not_called_cancelled(store: Store) -> None:
    held = claimed(store)
    store.release(held)
    assert store.claim(held.run_id, "other", 60) is not None
    assert not store.is_cancelled(held.run_id)
    with pytest.raises(LeaseLost, match="no longer holds the run"):
        store.record_points(held, points(1.0))


def test_a_cancelled_run_runs_again_only_for_a_cell_that_asks_for_it(store: Store) -> None:
    held = claimed(store)
    store.cancel([held.run_id])
    assert store.claim(held.run_id, "worker", 60) is None
    store.submit_cells([queued()])
    assert begun(store, taken(store)).run_id == held.run_id
    assert not store.is_cancelled(held.run_id)


def test_cancelling_a_run_cancels_the_cells_that_would_become_it(store: Store) -> None:
    held = claimed(store)
    moved = replace(queued().cell, label="moved")
    ask = Submission(moved, asked_hash="train-one-0")
    same, other = store.submit_cells([ask, queued(1, asked_hash="train-one-1")])
    (again,) = store.submit_cells([replace(ask, rerun=True)])
    assert [state.id for state in store.cancel([held.run_id])] == [same, None]
    states = store.cell_states([same, other, again])
    assert [states[n].status for n in (same, other, again)] == ["cancelled", "queued", "queued"]


def test_what_waits_for_a_cancelled_experiment_is_blocked_and_retried_with_it(
    store: Store,
) -> None:
    store.submit_cells([queued(0, "a")])
    (place,) = store.submit_cells([queued(0, "b", waits_for=["a"])])
    store.cancel(["a"])
    assert store.claim_cell("worker", 60) is None
    assert store.cell_states([place])[place].status == "blocked"
    store.retry(["a"])
    cell = taken(store)
    finish(store, begun(store, cell), cell=cell)
    assert store.cell_states([place])[place].status == "queued"


def test_cancelling_what_is_blocked_lets_others_start_from_what_is_done(store: Store) -> None:
    store.submit_cells([queued(0, "a"), queued(1, "a")])
    one, two = taken(store), taken(store)
    finish(store, begun(store, one), cell=one)
    store.end_cell(two, "blocked", reason="no weights")
    (place,) = store.submit_cells([queued(0, "b", waits_for=["a"])])
    assert store.claim_cell("worker", 60) is None
    assert store.cell_states([place])[place].status == "blocked"
    store.cancel(["a"])
    assert taken(store).id == place
