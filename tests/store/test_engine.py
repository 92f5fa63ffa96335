"""Connections that are lost: what was asked is looked up and repeated; nothing is done twice."""

from __future__ import annotations

import inspect
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, select, text
from support.postgres_server import drop_database
from support.proxy import Proxy, proxied
from support.store_values import claimed, dump, evaluation, finish, identity, points

from mmlab.errors import StoreError
from mmlab.store import (
    CellClaim,
    CellRow,
    CellState,
    Claim,
    DatabaseReplaced,
    Evaluating,
    ImportedRun,
    Part,
    RunRow,
    Store,
    StoreAway,
    Submission,
    engine,
    open_store,
    tables,
)
from mmlab.store.address import parse_address
from mmlab.store.claims import renew


@dataclass(frozen=True)
class Given:
    """What an act may change: a run that is held, and a cell in the queue."""

    run: Claim
    place: int
    cell: CellClaim | None


def cell(name: str) -> CellRow:
    """A cell of an experiment of its own."""
    return replace(identity(name).cell, experiment=name)


Act = Callable[[Store, Given], object]
NAMES = ("image", "text")
IMPORTED = ImportedRun("open-clip", "ViT", {}, "imported", [(n, evaluation(n)) for n in NAMES])

REMOVED = replace(IMPORTED, experiment="removed", train_hash="removed")

PART = Part("evaluation", "test abc def", 0, 0, 64)
MADE = replace(PART, fence=1, path="run/parts/file", sha256="0f")


def evaluating(run: Claim) -> Evaluating:
    """Whoever executes a run evaluates it."""
    return Evaluating(run.run_id, run.worker, run.lease_seconds, run)


#: Every method that writes; what it gives is compared too.
ACTS: dict[str, Act] = {
    "adopt_runs": lambda store, given: store.adopt_runs("token"),
    "submit_cells": lambda store, given: store.submit_cells([Submission(cell("new"))]),
    "submit_cells that are there": lambda store, given: store.submit_cells(
        [Submission(cell("new"), priority=3)]
    ),
    "submit_cells once more": lambda store, given: store.submit_cells(
        [Submission(cell("new")), Submission(cell("new"), rerun=True)]
    ),
    "claim_cell": lambda store, given: store.claim_cell("me", 60, among=[given.place]),
    "claim_cell that is held": lambda store, given: store.claim_cell("me", 60, among=[given.place]),
    "renew_cell": lambda store, given: store.renew_cell(held(given)),
    "give_back": lambda store, given: store.give_back(held(given), "no such plugin"),
    "end_cell": lambda store, given: store.end_cell(held(given), "done", run_id=given.run.run_id),
    "died": lambda store, given: store.died(
        held(given), given.run, "signal 11", "a segfault", max_attempts=3
    ),
    "died too often": lambda store, given: store.died(
        held(given), given.run, "signal 11", "a segfault", max_attempts=1
    ),
    "retry": lambda store, given: store.retry(["retry"]),
    "cancel": lambda store, given: store.cancel(["cancel"]),
    "submit": lambda store, given: store.submit(identity("new")),
    "submit what is there": lambda store, given: store.submit(identity("claim")),
    "submit a replicate": lambda store, given: store.submit(identity("claim"), rerun=True),
    "keep_contents": lambda store, given: store.keep_contents({"hash": "{}"}),
    "claim": lambda store, given: store.claim(given.run.run_id, "me", 60),
    "claim what is held": lambda store, given: store.claim(given.run.run_id, "me", 60),
    "rewind": lambda store, given: store.rewind(given.run, 1),
    "renew": lambda store, given: store.renew(given.run, 60, held(given)),
    "release": lambda store, given: store.release(given.run, cell=held(given)),
    "fail": lambda store, given: store.fail(given.run, "nan", "no", "Trace", held(given)),
    "record_points": lambda store, given: store.record_points(given.run, points(4.0, 5.0, 6.0)),
    "finish": lambda store, given: finish(store, given.run),
    "add_evaluations": lambda store, given: store.add_evaluations(
        given.run.run_id, [evaluation("more")], {"more": "more"}
    ),
    "claim_part": lambda store, given: store.claim_part(evaluating(given.run), PART),
    "finish_part": lambda store, given: store.finish_part(evaluating(given.run), MADE),
    "drop_part": lambda store, given: store.drop_part(evaluating(given.run), MADE),
    "add_imported": lambda store, given: store.add_imported([IMPORTED]),
    "remove_imported": lambda store, given: store.remove_imported([REMOVED.experiment]),
}


def held(given: Given) -> CellClaim:
    assert given.cell is not None, "the cell of this act is held"
    return given.cell


def _prepared(store: Store, name: str) -> Given:
    run = claimed(store, name)
    store.record_points(run, points(1.0, 2.0, 3.0))
    (place,) = store.submit_cells([Submission(cell(name))])
    free = ("claim_cell", "cancel")
    claim = None if name in free else store.claim_cell("worker", 60, among=[place])
    if name == "remove_imported":
        store.add_imported([REMOVED])
    if name == "add_evaluations":
        finish(store, run)
    if name == "claim":
        store.release(run)
    if name in ("finish_part", "drop_part"):
        store.claim_part(evaluating(run), PART)
    if name == "retry":
        assert claim is not None
        store.end_cell(claim, "failed", reason="no")
    return Given(run, place, claim)


def _plain(value: object) -> object:
    """Without what differs from database to database: ids, and times."""
    match value:
        case RunRow():
            return value.train_hash, value.replicate, value.status, value.fence
        case Claim():
            return value.fence, value.worker, value.lease_seconds
        case CellClaim():
            return value.fence, value.worker, value.queued.cell.experiment, value.queued.status
        case CellState():
            return value.status, value.experiment, value.reason
        case [int(), *_]:
            return f"{len(value)} places"
        case list():
            return [_plain(one) for one in value]
    return value


def _contents(url: str) -> dict[str, object]:
    """How many rows each table has, and what the rows say that are changed here."""
    rows = dump(url)
    with open_store(url) as store:
        runs = [store.run_detail(run_id) for run_id in store.run_statuses()]
    said = {
        f"{run.run.train_hash} {run.run.replicate}": (
            (run.run.status, run.run.fence, run.run.error),
            [(a.fence, a.worker, a.outcome, a.message) for a in run.attempts],
            sorted(e.name for e in run.evaluations),
        )
        for run in runs
    }
    names = ("experiment", "status", "priority", "rerun", "worker", "reason", "fence", "deaths")
    places = [
        [dict(zip(tables.queue.c.keys(), row, strict=True))[name] for name in names]
        for row in rows["queue"]
    ]
    values = sorted((row[2:6] for row in rows["metrics"]), key=repr)
    counts = {table: len(found) for table, found in rows.items()}
    return {**counts, **said, "values": values, "places": sorted(places, key=repr)}


def test_every_method_that_writes_is_tried() -> None:
    methods = inspect.getmembers(Store, inspect.isfunction)
    writing = {name for name, method in methods if ".transact(" in inspect.getsource(method)}
    assert len(writing) > 8
    assert {name.partition(" ")[0] for name in ACTS} == writing


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[tuple[Proxy, Store]]:
    """A store behind a proxy."""
    with proxied(postgres_url) as (proxy, url), open_store(url) as store:
        yield proxy, store


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loses", "swallows"])
def test_a_commit_whose_answer_or_request_is_lost_is_done_once(
    proxy: tuple[Proxy, Store], postgres_url: str, sqlite_url: str, how: str
) -> None:
    between, store = proxy
    with open_store(sqlite_url) as other:
        for name, act in ACTS.items():
            expected = _plain(act(other, _prepared(other, name)))
            given = _prepared(store, name)
            setattr(between, how, 2)

            found = _plain(act(store, given))

            assert getattr(between, how) == 0, name
            assert found == expected, name
    assert _contents(postgres_url) == _contents(sqlite_url)


def test_a_reading_that_finds_its_connection_lost_takes_another(
    proxy: tuple[Proxy, Store],
) -> None:
    between, store = proxy
    run = claimed(store)
    between.cut()
    assert store.find_run(run.run_id).status == "running"


def test_a_reading_whose_connection_is_lost_in_the_middle_is_repeated(
    proxy: tuple[Proxy, Store],
) -> None:
    between, store = proxy
    run, tries = claimed(store), list[int]()

    def work(connection: Connection) -> int | None:
        tries.append(len(tries))
        if len(tries) == 1:
            between.cut()
        return connection.scalar(select(tables.runs.c.fence).where(tables.runs.c.id == run.run_id))

    assert store._database.query(work) == 1
    assert tries == [0, 1]


def test_a_database_that_was_there_is_waited_for_but_not_for_ever(
    proxy: tuple[Proxy, Store],
) -> None:
    between, store = proxy
    held = claimed(store)
    between.is_away = True
    between.cut()
    began = time.monotonic()
    with pytest.raises(StoreAway):
        store.with_patience(0.5).renew(held, 60)
    assert time.monotonic() - began < 3
    with pytest.raises(StoreAway):
        store.with_patience(0).run_statuses()
    between.is_away = False
    assert store.renew(held, 60)


def test_a_server_that_was_never_there_is_not_waited_for(postgres_url: str) -> None:
    with proxied(postgres_url) as (between, url):
        between.is_away = True
        began = time.monotonic()
        with pytest.raises(StoreError, match="next: "):
            open_store(url)
        assert time.monotonic() - began < 3


def test_a_process_that_waits_for_its_turn_too_long_is_away(sqlite_url: str) -> None:
    path = str(parse_address(sqlite_url).path)
    with open_store(sqlite_url) as store, closing(sqlite3.connect(path)) as other:
        held = claimed(store)
        other.execute("BEGIN IMMEDIATE")
        with store._database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 10")
        with pytest.raises(StoreAway, match="locked"):
            store.with_patience(0).renew(held, 60)
        other.rollback()
        assert store.renew(held, 60)


def test_whoever_is_stuck_in_a_transaction_keeps_nobody_waiting_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was frozen or cut off: the server ends its transaction, and its locks go."""
    monkeypatch.setitem(engine._POSTGRES_SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    with open_store(postgres_url) as stuck, open_store(postgres_url) as store:
        run = claimed(store)

        def freeze(connection: Connection) -> None:
            assert renew(connection, run, 60)
            assert store.renew(run, 60)  # waits for the lock, and has it

        with pytest.raises(StoreAway, match=r"terminat|idle-in-transaction|closed"):
            stuck.with_patience(0)._database.transact(freeze)


def test_a_commit_to_a_file_waits_for_the_disk(sqlite_store: Store) -> None:
    with sqlite_store._database.write() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode")
        ]
    assert found == [2, "wal"], "2 is FULL: a run that is done is so after a power cut, too"


# --- deleted or replaced ------------------------------------------------------------------------


def _delete(path: Path, copy: Path) -> None:
    path.unlink()


def _replace(path: Path, copy: Path) -> None:
    os.replace(shutil.copy(copy, path.parent / "other"), path)


@pytest.mark.parametrize(
    ("change", "found"), [(_delete, "no such file"), (_replace, "another file")]
)
def test_a_file_that_was_deleted_or_replaced_is_not_written_to(
    sqlite_url: str, sqlite_template: Path, change: Callable[[Path, Path], None], found: str
) -> None:
    path = parse_address(sqlite_url).path
    assert path is not None
    with open_store(sqlite_url) as store:
        held = claimed(store)
        kept = path.parent / "kept"
        os.link(path, kept)
        change(path, sqlite_template)
        for act in (lambda: finish(store, held), store.run_statuses):
            with pytest.raises(DatabaseReplaced) as caught:
                act()
            assert f"found: {found}\n" in str(caught.value)
            assert str(path) in str(caught.value)
        os.replace(kept, path)
        finish(store, held)


def test_a_file_that_goes_in_the_middle_of_a_transaction_is_told(sqlite_url: str) -> None:
    path = parse_address(sqlite_url).path
    assert path is not None
    with open_store(sqlite_url) as store, pytest.raises(DatabaseReplaced):
        store._database.transact(lambda connection: path.unlink())


def test_tables_that_are_gone_are_told(database_url: str) -> None:
    with open_store(database_url) as store:
        held = claimed(store)
        engine = create_engine(parse_address(database_url).url)
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE metrics RENAME TO others"))
        engine.dispose()
        with pytest.raises(DatabaseReplaced, match="metrics"):
            store.record_points(held, points(1.0))


def test_a_database_that_was_dropped_is_told(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        held = claimed(store)
        server = parse_address(postgres_url).url
        drop_database(server.set(database="postgres"), str(server.database))
        with pytest.raises(DatabaseReplaced, match="does not exist"):
            store.record_points(held, points(1.0))
