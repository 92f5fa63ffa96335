"""Parts of evaluations: claimed and fenced like runs, on SQLite and on Postgres, and gone after."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from support.store_values import claimed, dump, evaluation, finish

from mmlab.errors import UsageError
from mmlab.store import Evaluating, LeaseLost, Part, Store

FIRST = Part("evaluation-1", "test abc def", 0, 0, 64)
MADE = {"path": "run/parts/file", "sha256": "0f"}


def executing(store: Store, lease_seconds: float = 60) -> Evaluating:
    """The process that executes a run."""
    claim = claimed(store, lease_seconds=lease_seconds)
    return Evaluating(claim.run_id, claim.worker, lease_seconds, claim)


def asking(store: Store, worker: str, lease_seconds: float = 60) -> Evaluating:
    """A process that asks a done run more."""
    claim = claimed(store, lease_seconds=lease_seconds)
    finish(store, claim)
    return Evaluating(claim.run_id, worker, lease_seconds)


def make(store: Store, who: Evaluating, part: Part) -> bool:
    """Claim a part and mark it as done."""
    held = store.claim_part(who, part)
    assert held is not None
    return store.finish_part(who, replace(held, **MADE))


def test_parts_are_listed_as_they_were_made(store: Store) -> None:
    who = executing(store)
    second = replace(FIRST, number=1, first=64, count=36)
    other = replace(FIRST, work="captions abc def")
    for part in (second, FIRST, other):
        assert make(store, who, part)
    store.claim_part(who, replace(FIRST, evaluation="evaluation-2"))
    found = [replace(part, fence=1, **MADE) for part in (other, FIRST, second)]
    assert store.parts(who.run_id, "evaluation-1") == found
    (begun,) = store.parts(who.run_id, "evaluation-2")
    assert (begun.fence, begun.path, begun.sha256) == (1, None, None)


def test_one_process_has_a_part_until_its_lease_ends(store: Store) -> None:
    one = asking(store, "one", lease_seconds=0.3)
    two = replace(one, worker="two")
    held = store.claim_part(one, FIRST)
    assert held is not None
    assert store.claim_part(two, FIRST) is None
    time.sleep(0.35)
    again = store.claim_part(two, replace(FIRST, count=32))
    assert again is not None
    assert (again.fence, again.count) == (2, 32)
    assert not store.finish_part(one, replace(held, **MADE))
    assert store.finish_part(two, replace(again, **MADE))
    assert store.claim_part(one, FIRST) is None  # it is done


def test_a_process_that_lost_its_run_writes_no_part(store: Store, database_url: str) -> None:
    frozen = executing(store, lease_seconds=0.2)
    held = store.claim_part(frozen, FIRST)
    assert held is not None
    time.sleep(0.25)
    assert store.claim(frozen.run_id, "another", 0.2) is not None
    before = dump(database_url)
    for write in (
        lambda: store.claim_part(frozen, replace(FIRST, number=1)),
        lambda: store.finish_part(frozen, replace(held, **MADE)),
        lambda: store.drop_part(frozen, held),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert dump(database_url) == before


def test_whoever_takes_a_run_over_finds_its_parts(store: Store) -> None:
    before = executing(store, lease_seconds=0.2)
    make(store, before, FIRST)
    begun = replace(FIRST, number=1, first=64)
    assert store.claim_part(before, begun) is not None
    time.sleep(0.25)
    claim = store.claim(before.run_id, "another", 0.2)
    now = Evaluating(before.run_id, "another", 0.2, claim)
    assert [part.path for part in store.parts(now.run_id, "evaluation-1")] == [MADE["path"], None]
    assert make(store, now, begun)


def test_a_dropped_part_can_be_made_again(store: Store) -> None:
    who = executing(store)
    make(store, who, FIRST)
    (part,) = store.parts(who.run_id, "evaluation-1")
    store.drop_part(who, replace(part, fence=2))  # claimed since, by whoever has that fence
    assert store.claim_part(who, FIRST) is None
    store.drop_part(who, part)
    assert make(store, who, FIRST)


def test_parts_go_in_the_transaction_that_records_their_evaluation(
    store: Store, database_url: str
) -> None:
    who = executing(store)
    make(store, who, FIRST)
    assert who.claim is not None
    finish(store, who.claim)
    assert dump(database_url)["evaluation_parts"] == []
    later = replace(who, claim=None)
    for name in ("more", "other"):
        make(store, later, replace(FIRST, evaluation=name))
    assert store.parts(who.run_id, "more") != []
    store.add_evaluations(who.run_id, [evaluation("new")], {"new": "more"})
    assert store.parts(who.run_id, "more") == []
    assert len(store.parts(who.run_id, "other")) == 1


def test_only_a_done_run_is_asked_without_its_claim(store: Store) -> None:
    claim = claimed(store)
    with pytest.raises(UsageError, match="to a finished run only"):
        store.claim_part(Evaluating(claim.run_id, "another", 60), FIRST)


def test_runs_of_which_a_part_is_made_are_known_until_then(store: Store) -> None:
    who = asking(store, "one")
    held = store.claim_part(who, FIRST)
    assert held is not None
    assert store.evaluated_runs() == {who.run_id}
    store.finish_part(who, replace(held, **MADE))
    assert store.evaluated_runs() == set()
