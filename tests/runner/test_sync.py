"""Spools of former processes: recorded once, by whom they belong to, or kept with a word."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, update
from support.lab import Shown
from support.spooled import curve, finish, losses, recording, spools, steps, take_over
from support.store_values import artifact, claimed, dump, evaluation, identity

from mmlab.records import MetricPoint
from mmlab.runner.claimed import StoreCoordinator
from mmlab.runner.runs_folder import RunsFolder
from mmlab.runner.spool import (
    Fail,
    Finish,
    Header,
    Points,
    Record,
    Release,
    Rewind,
    Spool,
    spool_path,
)
from mmlab.runner.sync import Synced, replay, sync_folder
from mmlab.store import Claim, Store, Submission
from mmlab.store.address import parse_address
from mmlab.store.tables import queue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def leave(folder: Path, claim: Claim, *records: Record, database: str = "") -> Path:
    """The spool of a process that has died."""
    whose = (claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
    spool = Spool(spool_path(folder, claim), Header(database, *whose))
    for record in records:
        spool.append(record)
    spool.close()
    return spool.path


def curve_of(first: int, last: int) -> list[Record]:
    return [Points(tuple(points)) for points in steps(first, last)]


def finished(run_id: str) -> Finish:
    return Finish((evaluation(),), {"zero_shot": f"of {run_id}"}, (artifact(run_id),), {}, 7)


def statuses(found: list[Synced]) -> list[str]:
    return [one.status for one in found]


# --- sync ---------------------------------------------------------------------------------------


def test_where_nothing_was_left_nothing_is_done(sqlite_store: Store, folder: Path) -> None:
    assert sync_folder(sqlite_store, folder) == []
    assert not folder.exists()


def test_a_sealed_spool_is_recorded_under_its_claim(store: Store, folder: Path) -> None:
    claim, said = claimed(store), list[str]()
    path = leave(folder, claim, Rewind(0), *curve_of(1, 40), finished(claim.run_id))

    (found,) = sync_folder(store, folder, said.append)

    assert (found.status, found.run_id, found.path) == ("recorded", claim.run_id, path)
    assert said == [f"{path.name}: recorded: run {claim.run_id} is done"]
    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, detail.run.fence) == ("done", 1)
    assert curve(store, claim.run_id) == losses(40)
    assert spools(folder) == []


def test_what_a_cancelled_run_left_is_removed(store: Store, folder: Path) -> None:
    claim = claimed(store)
    leave(folder, claim, *curve_of(1, 40), finished(claim.run_id))
    store.cancel([claim.run_id])
    (found,) = sync_folder(store, folder)
    assert found.reason == f"removed: run {claim.run_id} is cancelled"
    assert spools(folder) == []


def test_what_is_recorded_twice_is_there_once(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    records = (Rewind(0), *curve_of(1, 40), finished(claim.run_id))
    leave(folder, claim, *records)
    sync_folder(store, folder)
    before = dump(database_url)
    leave(folder, claim, *records)

    (found,) = sync_folder(store, folder)

    assert found.reason == f"removed: run {claim.run_id} is done by this very claim"
    assert dump(database_url) == before
    assert spools(folder) == []


@pytest.mark.parametrize(
    ("ending", "status", "outcome"),
    [
        (Fail("nan", "not finite", "Traceback"), "failed", "nan"),
        (Release("preempted"), "queued", "preempted"),
    ],
)
def test_so_is_a_run_that_has_failed_or_was_given_back(
    sqlite_store: Store, folder: Path, ending: Record, status: str, outcome: str
) -> None:
    claim = claimed(sqlite_store)
    leave(folder, claim, *curve_of(1, 3), ending)
    assert statuses(sync_folder(sqlite_store, folder)) == ["recorded"]
    detail = sqlite_store.run_detail(claim.run_id)
    assert (detail.run.status, detail.attempts[0].outcome) == (status, outcome)
    assert curve(sqlite_store, claim.run_id) == losses(3)


@pytest.mark.parametrize("ending", ["finish", "fail", "release"])
@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_the_cell_in_the_queue_ends_with_its_run_unless_it_is_anothers(
    sqlite_store: Store, sqlite_url: str, folder: Path, ending: str, whose: str
) -> None:
    (place,) = sqlite_store.submit_cells([Submission(identity().cell)])
    cell = sqlite_store.claim_cell("worker", 60, among=[place])
    claim = claimed(sqlite_store)
    end = {
        "finish": finished(claim.run_id),
        "fail": Fail("nan", "", ""),
        "release": Release("lost"),
    }
    spool = Spool(
        spool_path(folder, claim),
        Header("", claim.run_id, claim.fence, claim.worker, claim.lease_seconds, (), cell),
    )
    spool.append(end[ending])
    spool.close()
    if whose == "another's":
        engine = create_engine(parse_address(sqlite_url).url)
        with engine.begin() as connection:
            connection.execute(update(queue).values(worker="another", fence=2))
        engine.dispose()
    assert statuses(sync_folder(sqlite_store, folder)) == ["recorded"]
    status = {"finish": "done", "fail": "failed", "release": "queued"}[ending]
    assert sqlite_store.run_detail(claim.run_id).run.status == status
    state = sqlite_store.cell_states([place])[place]
    assert state.status == ("running" if whose == "another's" else status)


def test_nothing_is_recorded_once_the_run_was_taken_over(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    leave(folder, claim, *curve_of(1, 3), finished(claim.run_id))
    take_over(database_url, claim)
    before = dump(database_url)

    (found,) = sync_folder(store, folder)

    assert dump(database_url) == before
    assert (found.status, found.is_fault) == ("waiting", False)
    assert found.reason == f"kept: run {claim.run_id} was taken over and is running"
    other = replace(claim, fence=2, worker="another")
    store.finish(other, [evaluation()], {"zero_shot": "of another"})
    (found,) = sync_folder(store, folder)
    assert found.reason == f"removed: run {claim.run_id} is done by another claim"
    assert spools(folder) == []


def test_a_claim_that_is_void_by_the_time_it_is_recorded_writes_nothing(
    sqlite_store: Store, sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is taken over between the look at it and the first write: the fence guards."""
    claim = claimed(sqlite_store)
    leave(folder, claim, *curve_of(1, 3), finished(claim.run_id))
    look = sqlite_store.run_row(claim.run_id)
    take_over(sqlite_url, claim)
    before = dump(sqlite_url)
    monkeypatch.setattr(sqlite_store, "run_row", lambda run_id: look)
    assert statuses(sync_folder(sqlite_store, folder)) == ["waiting"]
    assert dump(sqlite_url) == before
    assert len(spools(folder)) == 1


def test_what_belongs_to_a_run_that_may_go_on_is_left_to_it(
    sqlite_store: Store, folder: Path
) -> None:
    claim = claimed(sqlite_store)
    leave(folder, claim, *curve_of(1, 3))
    assert sync_folder(sqlite_store, folder) == []
    assert curve(sqlite_store, claim.run_id) == {}
    sqlite_store.fail(claim, "error", "no", "")
    assert sync_folder(sqlite_store, folder) == []
    assert len(spools(folder)) == 1


def test_what_a_killed_process_could_not_delete_goes(sqlite_store: Store, folder: Path) -> None:
    claim = claimed(sqlite_store)
    leave(folder, claim, *curve_of(1, 3))
    sqlite_store.finish(claim, [evaluation()], {"zero_shot": "hash"})
    assert statuses(sync_folder(sqlite_store, folder)) == ["removed"]
    assert spools(folder) == []


def test_living_processes_record_for_themselves(sqlite_store: Store, folder: Path) -> None:
    claim = claimed(sqlite_store)
    whose = (claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
    spool = Spool(spool_path(folder, claim), Header("", *whose))
    spool.append(finished(claim.run_id))
    assert sync_folder(sqlite_store, folder) == []
    assert sqlite_store.run_detail(claim.run_id).run.status == "running"
    spool.close()
    assert statuses(sync_folder(sqlite_store, folder)) == ["recorded"]


def _other_run(claim: Claim) -> Claim:
    return replace(claim, run_id="f" * 32)


def _later(claim: Claim) -> Claim:
    return replace(claim, fence=2)


@pytest.mark.parametrize("change", [_other_run, _later])
def test_what_this_database_does_not_know_is_named_and_kept(
    sqlite_store: Store, sqlite_url: str, folder: Path, change: Callable[[Claim], Claim]
) -> None:
    claim = change(claimed(sqlite_store))
    leave(folder, claim, finished(claim.run_id))
    before = dump(sqlite_url)
    (found,) = sync_folder(sqlite_store, folder)
    assert (found.status, found.is_fault) == ("unknown", True)
    assert f"run {claim.run_id}: it was claimed in another database" in found.reason
    assert all(part in found.reason for part in ("found: ", "allowed: ", "next: "))
    assert dump(sqlite_url) == before
    assert len(spools(folder)) == 1


def test_a_database_of_another_id_is_another(sqlite_store: Store, folder: Path) -> None:
    claim = claimed(sqlite_store)
    leave(folder, claim, finished(claim.run_id), database="one")
    assert statuses(sync_folder(sqlite_store, folder, database="two")) == ["unknown"]
    assert statuses(sync_folder(sqlite_store, folder, database="one")) == ["recorded"]


def test_what_cannot_be_read_is_named_and_kept(sqlite_store: Store, folder: Path) -> None:
    path = leave(folder, claimed(sqlite_store), Rewind(0))
    path.write_bytes(b"notes of somebody")
    (found,) = sync_folder(sqlite_store, folder)
    assert (found.status, found.is_fault, found.reason) == (
        "damaged",
        True,
        "kept: its header is damaged",
    )
    assert path.read_bytes() == b"notes of somebody"


def test_each_of_several_is_recorded(store: Store, folder: Path) -> None:
    claims = [claimed(store, name) for name in ("one", "two", "three")]
    for claim in claims:
        leave(folder, claim, *curve_of(1, 2), finished(claim.run_id))
    assert statuses(sync_folder(store, folder)) == ["recorded"] * 3
    assert set(store.run_statuses().values()) == {"done"}


# --- replay -------------------------------------------------------------------------------------


def again(store: Store, url: str, claim: Claim) -> Claim:
    """The next claim of a run whose process has died."""
    take_over(url, claim)
    return replace(claim, fence=claim.fence + 1, worker="another")


def test_whoever_takes_a_run_up_records_what_its_former_process_left(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    store.record_points(claim, [one for points in steps(1, 10) for one in points])
    leave(folder, claim, *curve_of(11, 35))
    claim = again(store, database_url, claim)

    assert not replay(store, claim, folder)

    assert curve(store, claim.run_id) == losses(35)
    assert spools(folder) == []
    with recording(store, claim, folder) as made:
        made.writer.rewind(30)
        for points in steps(31, 60):
            made.writer.points(points)
        assert finish(made.writer) is None
    assert curve(store, claim.run_id) == losses(60)


def test_former_claims_are_replayed_in_their_order(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    claim = claimed(sqlite_store)
    leave(
        folder, claim, Rewind(0), *(Points((MetricPoint("train/loss", s, 9.0),)) for s in range(9))
    )
    for fence in range(2, 11):  # ten comes after nine
        claim = again(sqlite_store, sqlite_url, claim)
        value = MetricPoint("train/loss", 5, float(fence))
        leave(folder, claim, Rewind(4), Points((value,)))
    claim = again(sqlite_store, sqlite_url, claim)
    replay(sqlite_store, claim, folder)
    assert curve(sqlite_store, claim.run_id) == {**dict.fromkeys(range(5), 9.0), 5: 10.0}


def test_a_run_that_had_finished_is_done_without_training_it_again(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    (folder / claim.run_id).mkdir(parents=True)
    (folder / artifact(claim.run_id).path).write_bytes(b"x" * 12)
    leave(folder, claim, *curve_of(1, 5), finished(claim.run_id))
    claim = again(store, database_url, claim)

    assert replay(store, claim, folder)

    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, detail.run.fence, len(detail.evaluations)) == ("done", 2, 1)
    assert curve(store, claim.run_id) == losses(5)
    assert spools(folder) == []


def test_weights_that_a_sealed_spool_names_are_no_leftovers(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    """They carry the number of a claim until the database has them."""
    claim = claimed(sqlite_store)
    weights = replace(artifact(claim.run_id), path=f"{claim.run_id}/best-1.safetensors")
    (folder / claim.run_id).mkdir(parents=True)
    (folder / weights.path).write_bytes(b"x" * 12)
    final = replace(finished(claim.run_id), artifacts=(weights,))
    leave(folder, claim, final, database=sqlite_store.database_id)
    past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    take_over(sqlite_url, claim, worker=claim.worker, fence=claim.fence, lease_until=past)

    runs_folder = RunsFolder(sqlite_store, folder)
    with StoreCoordinator(sqlite_store, runs_folder, "another", Shown()) as coordinator:
        assert coordinator.claim(claim.run_id, {}, {}, ()) is None

    assert (folder / weights.path).is_file()
    assert sqlite_store.run_detail(claim.run_id).run.status == "done"


@pytest.mark.parametrize("why", ["its weights are gone", "another was between", "it had failed"])
def test_but_not_where_it_would_not_be_whole(
    sqlite_store: Store, sqlite_url: str, folder: Path, why: str
) -> None:
    claim = claimed(sqlite_store)
    if why != "its weights are gone":
        (folder / claim.run_id).mkdir(parents=True)
        (folder / artifact(claim.run_id).path).write_bytes(b"x" * 12)
    ending = Fail("nan", "", "") if why == "it had failed" else finished(claim.run_id)
    leave(folder, claim, *curve_of(1, 5), ending)
    claim = again(sqlite_store, sqlite_url, claim)
    if why == "another was between":
        claim = again(sqlite_store, sqlite_url, claim)
    assert not replay(sqlite_store, claim, folder)
    assert sqlite_store.run_detail(claim.run_id).run.status == "running"
    assert curve(sqlite_store, claim.run_id) == losses(5)
    assert spools(folder) == []


def test_a_spool_that_was_cut_off_is_replayed_as_far_as_it_goes(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    claim, said = claimed(sqlite_store), list[str]()
    path = leave(folder, claim, *curve_of(1, 5))
    os.truncate(path, path.stat().st_size - 3)
    claim = again(sqlite_store, sqlite_url, claim)
    replay(sqlite_store, claim, folder, said.append)
    assert curve(sqlite_store, claim.run_id) == losses(4)
    assert len(said) == 1
    assert f"{path}: cut off at byte" in said[0]


def test_other_runs_and_other_databases_are_none_of_its_business(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    claim, other = claimed(sqlite_store), claimed(sqlite_store, "other")
    leave(folder, other, *curve_of(1, 5))
    leave(folder, claim, *curve_of(1, 5), database="elsewhere")
    claim = again(sqlite_store, sqlite_url, claim)
    assert not replay(sqlite_store, claim, folder, database="here")
    assert curve(sqlite_store, claim.run_id) == curve(sqlite_store, other.run_id) == {}
    assert len(spools(folder)) == 2


def test_a_process_that_comes_back_finds_its_run_taken(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    """It was suspended with points in its spool, which the next one has read meanwhile."""
    claim = claimed(sqlite_store)
    whose = (claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
    suspended = Spool(spool_path(folder, claim), Header("", *whose))
    for record in curve_of(1, 5):
        suspended.append(record)
    next_claim = again(sqlite_store, sqlite_url, claim)
    replay(sqlite_store, next_claim, folder)
    assert curve(sqlite_store, claim.run_id) == losses(5)
    for record in curve_of(6, 9):
        suspended.append(record)
    suspended.sync()
    suspended.close()
    assert spools(folder) == []


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a circle of links"])
def test_what_is_no_file_is_told_and_kept(kind: str, sqlite_store: Store, folder: Path) -> None:
    path = folder / "spool" / "run-1-worker.bin"
    path.parent.mkdir(parents=True)
    {"a pipe": os.mkfifo, "a folder": os.mkdir}.get(kind, lambda it: it.symlink_to(it))(path)
    (found,) = sync_folder(sqlite_store, folder)
    assert (found.status, found.reason.startswith("kept: ")) == ("damaged", True)
    assert os.path.lexists(path)
