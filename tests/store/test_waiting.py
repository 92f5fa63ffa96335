"""Cells that start from another experiment's runs: they wait, begin, or are blocked and told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.store_values import begun, claimed, finish, queued, taken

from mmlab.store import CellClaim, Store, Submission


def statuses(store: Store, places: list[int]) -> list[str]:
    """How cells of the queue stand, in order."""
    states = store.cell_states(places)
    return [states[place].status for place in places]


def reason(store: Store, place: int) -> str:
    """Why a cell is blocked."""
    return store.cell_states([place])[place].reason or ""


def nothing_to_claim(store: Store) -> bool:
    """Whether a worker finds nothing; what cannot start is blocked by then."""
    return store.claim_cell("worker", 60) is None


def do(store: Store, cell: CellClaim) -> None:
    """Execute a cell to its end."""
    finish(store, begun(store, cell), cell=cell)


def test_a_cell_waits_until_all_of_what_it_starts_from_has_ended(store: Store) -> None:
    store.submit_cells([queued(0, "first"), queued(1, "first")])
    store.submit_cells([queued(0, "second", waits_for=["first"], priority=9)])
    one, two = taken(store), taken(store)
    assert {cell.queued.cell.experiment for cell in (one, two)} == {"first"}
    assert nothing_to_claim(store)
    do(store, one)
    assert nothing_to_claim(store)
    store.end_cell(two, "failed", reason="no")
    cell = taken(store)
    assert (cell.queued.cell.experiment, list(cell.queued.waits_for)) == ("second", ["first"])


def test_a_cell_waits_for_each_of_several(store: Store) -> None:
    store.submit_cells([queued(0, "c", waits_for=["a", "b"]), queued(0, "a"), queued(0, "b")])
    one, two = taken(store), taken(store)
    do(store, one)
    assert nothing_to_claim(store)
    do(store, two)
    assert taken(store).queued.cell.experiment == "c"


def test_a_cell_that_starts_from_what_failed_is_blocked_and_told(store: Store) -> None:
    store.submit_cells([queued(0, "first"), queued(1, "first")])
    (place,) = store.submit_cells([queued(0, "second", waits_for=["first"])])
    store.end_cell(taken(store), "failed", reason="no")
    store.end_cell(taken(store), "cancelled")
    assert nothing_to_claim(store)
    assert statuses(store, [place]) == ["blocked"]
    assert reason(store, place) == (
        "it starts from first, of which no run is done: 1 failed, 1 cancelled"
    )


def test_what_waits_for_a_blocked_cell_is_blocked_too(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    places = store.submit_cells([queued(0, "c", waits_for=["b"]), queued(0, "b", waits_for=["a"])])
    store.end_cell(taken(store), "failed")
    assert nothing_to_claim(store)
    assert statuses(store, places) == ["blocked", "blocked"]
    assert reason(store, places[0]) == "it starts from b, which cannot start either"


def test_cells_that_wait_for_one_another_are_blocked(store: Store) -> None:
    places = store.submit_cells(
        [queued(0, "a", waits_for=["b"]), queued(0, "b", waits_for=["a"]), queued(0, "c")]
    )
    assert taken(store).queued.cell.experiment == "c"
    assert statuses(store, places) == ["blocked", "blocked", "running"]


def test_a_blocked_cell_is_queued_again_when_what_it_starts_from_is_done(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    places = store.submit_cells([queued(0, "b", waits_for=["a"]), queued(0, "c", waits_for=["b"])])
    store.end_cell(taken(store), "failed")
    assert nothing_to_claim(store)
    store.submit_cells([queued(0, "a")])
    assert statuses(store, places) == ["blocked", "blocked"]
    do(store, taken(store))
    assert statuses(store, places) == ["queued", "blocked"]
    do(store, taken(store))
    assert statuses(store, places) == ["done", "queued"]
    assert reason(store, places[1]) == ""
    do(store, taken(store))


def test_a_failure_unblocks_only_what_can_start(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    (place,) = store.submit_cells([queued(0, "b", waits_for=["a"])])
    store.end_cell(taken(store), "failed")
    assert nothing_to_claim(store)
    store.submit_cells([queued(1, "a")])
    store.end_cell(taken(store), "failed")
    assert statuses(store, [place]) == ["blocked"]


def test_a_cell_that_a_worker_has_blocked_stays_so_until_something_ends(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    do(store, taken(store))
    (place,) = store.submit_cells([queued(0, "b", waits_for=["a"])])
    store.end_cell(taken(store), "blocked", reason="the weights of a are gone")
    assert nothing_to_claim(store)
    assert (statuses(store, [place]), reason(store, place)) == (
        ["blocked"],
        "the weights of a are gone",
    )
    store.submit_cells([queued(1, "a")])
    do(store, taken(store))
    assert statuses(store, [place]) == ["queued"]


def test_submitting_a_blocked_cell_again_queues_it_again(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    waiting = queued(0, "b", waits_for=["a"])
    places = store.submit_cells([waiting])
    store.end_cell(taken(store), "failed")
    assert nothing_to_claim(store)
    assert store.submit_cells([waiting]) == places
    assert (statuses(store, places), reason(store, places[0])) == (["queued"], "")


def test_an_experiment_that_starts_from_its_own_earlier_runs_does_not_wait(store: Store) -> None:
    store.submit_cells([queued(seed, "a", waits_for=["a"]) for seed in range(2)])
    assert [taken(store).queued.cell.seed for _ in range(2)] == [0, 1]


def test_a_cell_may_wait_for_one_run(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    cell = taken(store)
    run = begun(store, cell)
    store.submit_cells([queued(0, "b", waits_for=[run.run_id])])
    assert nothing_to_claim(store)
    finish(store, run, cell=cell)
    assert taken(store).queued.cell.experiment == "b"


def test_a_cell_whose_one_run_failed_is_blocked(store: Store) -> None:
    store.submit_cells([queued(0, "a")])
    cell = taken(store)
    run = begun(store, cell)
    (place,) = store.submit_cells([queued(0, "b", waits_for=[run.run_id])])
    store.fail(run, "error", "no", "", cell)
    assert nothing_to_claim(store)
    assert reason(store, place).endswith("no run is done: 1 failed")
    store.retry([run.run_id])
    do(store, taken(store))
    assert statuses(store, [place]) == ["queued"]


@pytest.mark.parametrize("name", ["emoji", "unheard-of"])
def test_what_the_queue_knows_nothing_of_is_not_waited_for(store: Store, name: str) -> None:
    """Runs of before there was a queue may be done; the worker tells where there is nothing."""
    finish(store, claimed(store))
    store.submit_cells([queued(0, "b", waits_for=[name])])
    assert taken(store).queued.cell.experiment == "b"


def test_runs_of_before_the_queue_that_all_failed_block(store: Store) -> None:
    store.fail(claimed(store), "error", "no", "")
    (place,) = store.submit_cells([queued(0, "b", waits_for=["emoji"])])
    assert nothing_to_claim(store)
    assert reason(store, place) == "it starts from emoji, of which no run is done: 1 failed"


def test_a_former_version_of_an_experiment_is_nothing_to_start_from(store: Store) -> None:
    finish(store, claimed(store))
    cell = queued(0, "emoji").cell
    store.submit_cells([Submission(replace(cell, spec=replace(cell.spec, text="# newer")))])
    store.end_cell(taken(store), "failed")
    (place,) = store.submit_cells([queued(0, "b", waits_for=["emoji"])])
    assert nothing_to_claim(store)
    assert statuses(store, [place]) == ["blocked"]


def test_earlier_runs_of_the_same_spec_are_something_to_start_from(store: Store) -> None:
    finish(store, claimed(store))
    store.submit_cells([queued(1, "emoji")])
    store.end_cell(taken(store), "failed")
    store.submit_cells([queued(0, "b", waits_for=["emoji"])])
    assert taken(store).queued.cell.experiment == "b"


def test_cells_of_one_experiment_may_wait_for_different_things(store: Store) -> None:
    store.submit_cells([queued(0, "a"), queued(0, "b")])
    places = store.submit_cells([queued(0, "c", waits_for=["a"]), queued(1, "c", waits_for=["b"])])
    store.end_cell(taken(store), "failed")
    other = taken(store)
    assert nothing_to_claim(store)
    assert statuses(store, places) == ["blocked", "queued"]
    do(store, other)
    assert taken(store).id == places[1]
