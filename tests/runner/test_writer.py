"""Recording through a spool: training waits for no database, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete
from support.full_disk import largest_file
from support.lab import child_environment
from support.postgres_server import Server, create_database, find_binaries, started_server
from support.proxy import Proxy, proxied
from support.spooled import curve, finish, losses, recording, spools, steps, take_over
from support.store_values import artifact, claimed, evaluation

from mmlab.errors import DataError, RunError
from mmlab.records import MetricPoint
from mmlab.runner import claimed as claimed_of
from mmlab.runner import outbox
from mmlab.runner.claimed import Lease
from mmlab.runner.sync import look_into, sync_folder
from mmlab.store import DatabaseReplaced, LeaseLost, Store, open_store
from mmlab.store.address import parse_address
from mmlab.store.migrate import upgrade
from mmlab.store.tables import attempts, cells, metrics, runs


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given is in the database after a moment."""
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def far(postgres_url: str) -> Iterator[tuple[Proxy, Store]]:
    """A store behind a proxy, which can be away."""
    with proxied(postgres_url) as (proxy, url), open_store(url) as store:
        yield proxy, store


def go_away(proxy: Proxy) -> None:
    proxy.is_away = True
    proxy.cut()


def wait_for(is_so: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.01)


# --- while the database is there ----------------------------------------------------------------


def test_what_was_given_is_in_the_database_and_the_file_goes(store: Store, folder: Path) -> None:
    claim = claimed(store)
    with recording(store, claim, folder) as made:
        made.writer.rewind(0)
        for points in steps(1, 250):
            made.writer.points(points)
        assert len(spools(folder)) == 1
        assert finish(made.writer) is None
    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, detail.run.fence) == ("done", 1)
    assert [one.name for one in detail.evaluations] == ["zero_shot"]
    assert detail.artifacts[0].path == artifact(claim.run_id).path
    assert curve(store, claim.run_id) == losses(250)
    assert (spools(folder), made.said) == ([], [])


def test_points_are_in_the_database_before_the_run_ends(sqlite_store: Store, folder: Path) -> None:
    claim = claimed(sqlite_store)
    with recording(sqlite_store, claim, folder) as made:
        for round_ in range(3):
            for points in steps(100 * round_ + 1, 100 * round_ + 100):
                made.writer.points(points)
            assert made.writer.wait(10)
            assert curve(sqlite_store, claim.run_id) == losses(100 * round_ + 100)
            assert list(look_into(made.writer.path).records()) == []
    assert sqlite_store.run_detail(claim.run_id).run.status == "running"


def test_the_order_is_that_in_which_it_was_given(sqlite_store: Store, folder: Path) -> None:
    claim = claimed(sqlite_store)
    with recording(sqlite_store, claim, folder) as made:
        for points in steps(1, 9):
            made.writer.points(points)
        made.writer.rewind(4)
        made.writer.points([MetricPoint("train/loss", 5, 7.0), MetricPoint("train/loss", 5, 8.0)])
        made.writer.points([MetricPoint("train/loss", 4, 9.0)])
        assert made.writer.wait(10)
        assert curve(sqlite_store, claim.run_id) == {**losses(3), 4: 9.0, 5: 8.0}


def test_a_run_that_fails_or_is_given_back_is_recorded_so(store: Store, folder: Path) -> None:
    for name in ("fails", "waits"):
        claim = claimed(store, name)
        with recording(store, claim, folder) as made:
            made.writer.points([MetricPoint("train/loss", 1, 1.0)])
            if name == "fails":
                assert made.writer.fail("nan", "the loss is not finite", "Traceback") is None
            else:
                assert made.writer.release("preempted") is None
        detail = store.run_detail(claim.run_id)
        assert (detail.run.status, detail.attempts[0].outcome) == {
            "fails": ("failed", "nan"),
            "waits": ("queued", "preempted"),
        }[name]
        assert curve(store, claim.run_id) == {1: 1.0}
    assert spools(folder) == []


def test_what_no_database_could_hold_is_refused_before_it_is_kept(
    sqlite_store: Store, folder: Path
) -> None:
    with recording(sqlite_store, claimed(sqlite_store), folder) as made:
        with pytest.raises(DataError):
            made.writer.points([MetricPoint("a\0b", 1, 1.0)])
        with pytest.raises(DataError, match="twice"):
            made.writer.finish([evaluation(labels=("a", "a"))], {"zero_shot": "hash"})
        assert spools(folder) == []


def test_a_defect_ends_the_run_which_can_be_said_to_have_failed(
    sqlite_store: Store, folder: Path
) -> None:
    claim = claimed(sqlite_store)
    with recording(sqlite_store, claim, folder) as made:
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        with pytest.raises(KeyError):
            made.writer.finish([evaluation()], {})
        with pytest.raises(KeyError):
            made.writer.check()
        assert made.writer.fail("error", "KeyError", "Traceback") is None
    assert sqlite_store.run_detail(claim.run_id).run.status == "failed"
    assert spools(folder) == []


def test_never_do_more_records_wait_for_the_disk_than_said(
    sqlite_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", 60)
    with recording(sqlite_store, claimed(sqlite_store), folder) as made:
        waiting = []
        for points in steps(1, 350):
            made.writer.points(points)
            waiting.append(made.writer._outbox.spool.unsynced)
        assert 90 < max(waiting) < outbox.FLUSH_RECORDS
        assert made.writer._outbox.spool.unsynced > 0
        made.writer.hold()
        assert made.writer._outbox.spool.unsynced == 0


# --- while it is away ---------------------------------------------------------------------------


def test_training_goes_on_while_the_database_is_away(
    far: tuple[Proxy, Store], folder: Path
) -> None:
    proxy, store = far
    claim = claimed(store)
    with recording(store, claim, folder) as made:
        for points in steps(1, 20):
            made.writer.points(points)
        assert made.writer.wait(10)
        go_away(proxy)
        began = time.monotonic()
        for points in steps(21, 500):
            made.writer.points(points)
        made.writer.hold()
        assert time.monotonic() - began < 5
        wait_for(lambda: made.said)
        assert made.writer.away is not None
        assert not made.writer.wait(0.3)
        (said,) = made.said
        assert "the database cannot be used" in said
        assert f"training goes on; what it records waits in {made.writer.path}" in said
        proxy.is_away = False
        came_back = time.monotonic()
        assert made.writer.wait(10)
        assert time.monotonic() - came_back < 5
        assert curve(store, claim.run_id) == losses(500)
        wait_for(lambda: len(made.said) > 1)
        assert made.said[1:] == ["the database is back, and has all that waited for it"]
        assert finish(made.writer) is None
    assert store.run_detail(claim.run_id).run.status == "done"


def test_training_goes_on_while_no_packet_comes_through(
    far: tuple[Proxy, Store], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut cable, a server that was stopped: nobody says that the database is away."""
    proxy, store = far
    monkeypatch.setattr(claimed_of, "ANSWER_SECONDS", 0.5)
    claim = claimed(store, lease_seconds=0.4)
    lease = Lease(store, 0.4)
    lease.run = claim
    with recording(store, claim, folder, patience_seconds=0.5) as made, lease:
        proxy.is_deaf = True
        began = time.monotonic()
        for points in steps(1, 300):
            made.writer.points(points)
        made.writer.hold()
        assert not lease.hold()
        time.sleep(0.5)
        assert not lease.hold()
        assert time.monotonic() - began < 5
        proxy.is_deaf = False
        assert made.writer.wait(10)
        wait_for(lease.hold)
        proxy.is_deaf = True
        began = time.monotonic()
    assert time.monotonic() - began < 10
    proxy.is_deaf = False
    assert curve(store, claim.run_id) == losses(300)


def test_an_answer_to_a_commit_that_is_lost_doubles_nothing(
    far: tuple[Proxy, Store], folder: Path
) -> None:
    proxy, store = far
    claim = claimed(store)
    with recording(store, claim, folder, patience_seconds=20) as made:
        proxy.loses = 3
        for points in steps(1, 50):
            made.writer.points(points)
        assert made.writer.wait(10)
        proxy.loses = 2
        assert finish(made.writer) is None
    assert proxy.loses == 0
    assert curve(store, claim.run_id) == losses(50)
    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, len(detail.evaluations)) == ("done", 1)


@pytest.mark.parametrize("ending", ["finish", "fail", "release"])
def test_a_run_that_ends_meanwhile_is_sealed_and_recorded_once(
    far: tuple[Proxy, Store], folder: Path, ending: str
) -> None:
    proxy, store = far
    claim = claimed(store)
    with recording(store, claim, folder) as made:
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        go_away(proxy)
        endings = {
            "finish": lambda: finish(made.writer),
            "fail": lambda: made.writer.fail("nan", "not finite", ""),
            "release": made.writer.release,
        }
        sealed = endings[ending]()
        assert sealed is not None
        assert (sealed.path, sealed.path.exists()) == (made.writer.path, True)
        assert "mmlab sync" in str(sealed)
        assert "closed the connection" in str(sealed) or "refused" in str(sealed), str(sealed)
        assert made.writer.release() == sealed, "it has ended, and nobody waits again"
    proxy.is_away = False

    first, second = (sync_folder(store, folder) for _ in range(2))

    assert [one.status for one in first] == ["recorded"]
    assert second == []
    detail = store.run_detail(claim.run_id)
    status = {"finish": "done", "fail": "failed", "release": "queued"}[ending]
    assert (detail.run.status, len(detail.attempts)) == (status, 1)
    assert len(detail.evaluations) == (ending == "finish")
    assert curve(store, claim.run_id) == {1: 1.0}
    assert spools(folder) == []


def test_what_is_sealed_is_recorded_by_its_process_if_that_still_runs(
    far: tuple[Proxy, Store], folder: Path
) -> None:
    proxy, store = far
    claim = claimed(store)
    with recording(store, claim, folder) as made:
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        go_away(proxy)
        assert finish(made.writer) is not None
        proxy.is_away = False
        wait_for(lambda: store.run_detail(claim.run_id).run.status == "done")
        wait_for(lambda: spools(folder) == [])


def test_a_spool_at_its_limit_makes_training_wait_and_drops_nothing(
    far: tuple[Proxy, Store], folder: Path
) -> None:
    proxy, store = far
    claim = claimed(store)
    with recording(store, claim, folder, limit_bytes=4000) as made:
        made.writer.rewind(0)
        go_away(proxy)
        proxy.comes_back_in(1.0)
        began = time.monotonic()
        for points in steps(1, 300):
            made.writer.points(points)
        assert time.monotonic() - began > 0.8
        assert "training waits for the database: 4.0 kB wait for it in" in "".join(made.said)
        assert made.writer.wait(10)
    assert curve(store, claim.run_id) == losses(300)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None or os.environ.get("MMLAB_TEST_PG"):
        pytest.skip("no Postgres server of its own can be started and stopped")
    with started_server(binaries) as started:
        yield started


@pytest.mark.slow
def test_a_server_that_crashes_and_starts_again_has_every_point_once(
    server: Server, folder: Path
) -> None:
    url = create_database(server.url, "crashes").render_as_string(hide_password=False)
    upgrade(url)
    with open_store(url) as store:
        claim, step = claimed(store), 0
        with recording(store, claim, folder, patience_seconds=30) as made:
            for _ in range(2):
                server.stop(signal.SIGQUIT)
                for points in steps(step + 1, step + 400):
                    made.writer.points(points)
                    time.sleep(0.001)
                step += 400
                server.start()
                began = time.monotonic()
                assert made.writer.wait(20)
                assert time.monotonic() - began < 5
                for points in steps(step + 1, step + 100):
                    made.writer.points(points)
                step += 100
            assert finish(made.writer) is None
        assert curve(store, claim.run_id) == losses(1000)
        assert store.run_detail(claim.run_id).run.status == "done"


# --- another process, another database ----------------------------------------------------------


def test_a_run_that_was_taken_over_is_left_to_the_other(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    with recording(store, claim, folder) as made:
        take_over(database_url, claim)
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        wait_for(lambda: made.writer._outbox.fault)
        for act in (made.writer.hold, made.writer.check, lambda: made.writer.rewind(0)):
            with pytest.raises(RunError) as caught:
                act()
            assert caught.value.reason == "lost"
        with pytest.raises(LeaseLost):
            finish(made.writer)
        assert made.writer.fail("error", "no", "") is None
        assert made.writer.path.exists(), "whoever has taken it over reads it"
    assert curve(store, claim.run_id) == {}
    detail = store.run_detail(claim.run_id)
    assert (detail.run.status, detail.run.fence) == ("running", 2)


def test_a_database_that_was_deleted_is_told_and_all_is_kept(
    sqlite_store: Store, sqlite_url: str, folder: Path
) -> None:
    path = parse_address(sqlite_url).path
    assert path is not None
    claim = claimed(sqlite_store)
    with recording(sqlite_store, claim, folder, patience_seconds=60) as made:
        for points in steps(1, 5):
            made.writer.points(points)
        assert made.writer.wait(10)
        path.rename(path.with_suffix(".moved"))
        for points in steps(6, 20):
            made.writer.points(points)
        wait_for(lambda: made.said)
        assert "the database was deleted or replaced while it was used" in made.said[0]
        assert f"kept: all that this run records is in {made.writer.path}" in made.said[0]
        made.writer.points([MetricPoint("train/loss", 21, 1 / 21)])
        began = time.monotonic()
        sealed = finish(made.writer)
        assert time.monotonic() - began < 5
        assert sealed is not None
        assert "no such file" in sealed.reason
    path.with_suffix(".moved").rename(path)
    assert [one.status for one in sync_folder(sqlite_store, folder)] == ["recorded"]
    assert curve(sqlite_store, claim.run_id) == losses(21)
    assert sqlite_store.run_detail(claim.run_id).run.status == "done"


def test_a_database_that_does_not_know_the_run_is_another(
    store: Store, database_url: str, folder: Path
) -> None:
    claim = claimed(store)
    with recording(store, claim, folder, patience_seconds=60) as made:
        engine = create_engine(parse_address(database_url).url)
        with engine.begin() as connection:
            for table in (attempts, cells, metrics, runs):
                connection.execute(delete(table))
        engine.dispose()
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        sealed = finish(made.writer)
        assert sealed is not None
        assert f"does not know run {claim.run_id}" in sealed.reason
        assert isinstance(made.writer.away, DatabaseReplaced)
    (kept,) = sync_folder(store, folder)
    assert (kept.status, kept.is_fault, kept.path.exists()) == ("unknown", True, True)


# --- disks and kills ----------------------------------------------------------------------------


def test_a_full_disk_fails_the_run_and_is_told_to_the_database(
    sqlite_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", 60)
    claim = claimed(sqlite_store)
    with recording(sqlite_store, claim, folder, patience_seconds=60) as made:
        for points in steps(1, 5):
            made.writer.points(points)
        size = made.writer.path.stat().st_size
        monkeypatch.setattr("mmlab.runner.spool.os.write", lambda *_: (_ for _ in ()).throw(FULL))
        with pytest.raises(RunError, match="No space left") as caught:
            made.writer.points([MetricPoint("train/loss", 6, 6.0)])
        assert caught.value.reason == "disk_full"
        assert made.writer.path.stat().st_size == size
        assert made.writer.fail("disk_full", str(caught.value), "") is None
    assert sqlite_store.run_detail(claim.run_id).attempts[0].outcome == "disk_full"
    assert curve(sqlite_store, claim.run_id) == losses(5)
    assert spools(folder) == []


FULL = OSError(28, "No space left on device")


def test_a_run_that_can_neither_be_kept_nor_recorded_says_so(
    far: tuple[Proxy, Store], folder: Path
) -> None:
    proxy, store = far
    with recording(store, claimed(store), folder) as made:
        made.writer.points([MetricPoint("train/loss", 1, 1.0)])
        go_away(proxy)
        size = made.writer.path.stat().st_size
        with largest_file(size + 10), pytest.raises(RunError, match="cannot be kept"):
            finish(made.writer)


KILLED = """
import json, sys
from pathlib import Path
from mmlab.records import MetricPoint
from mmlab.runner.writer import RunWriter
from mmlab.store import Claim, open_store
url, runs, claim = sys.argv[1], Path(sys.argv[2]), Claim(*json.loads(sys.argv[3]))
writer = RunWriter(open_store(url), claim, runs)
step = 0
while True:
    step += 1
    writer.points([MetricPoint("train/loss", step, 1 / step)])
    print(step, flush=True)
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_taken_in(
    postgres_url: str, folder: Path, tmp_path: Path
) -> None:
    with open_store(postgres_url) as store, proxied(postgres_url) as (proxy, url):
        claim = claimed(store)
        whose = json.dumps([claim.run_id, claim.fence, claim.worker, claim.lease_seconds])
        command = [sys.executable, "-c", KILLED, url, str(folder), whose]
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, env=child_environment())
            try:
                wait_for(lambda: log.stat().st_size > 100, seconds=60)
                go_away(proxy)
                size = log.stat().st_size
                wait_for(lambda: log.stat().st_size > size + 3000, seconds=60)
            finally:
                process.kill()
                process.wait()
        last = int(log.read_text().split("\n")[-2])
        (path,) = (folder / "spool").iterdir()
        kept = [
            one for record in look_into(path).records() for one in getattr(record, "points", ())
        ]
        there = {**curve(store, claim.run_id), **{one.step: one.value for one in kept}}
        assert last > 500
        assert there in (losses(last), losses(last + 1))
