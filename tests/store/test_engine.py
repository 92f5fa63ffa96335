"""Connections that are lost: what was asked is looked up and repeated; nothing is done twice."""

from __future__ import annotations

import inspect
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from support.postgres_server import drop_database
from support.proxy import Proxy, proxied
from support.store_values import claimed, dump, evaluation, finish, identity, points

from mmlab.errors import StoreError
from mmlab.store import (
    Claim,
    DatabaseReplaced,
    ImportedRun,
    RunRow,
    Store,
    StoreAway,
    open_store,
)
from mmlab.store.address import parse_address

Act = Callable[[Store, Claim], object]


def _add_imported(store: Store, held: Claim) -> object:
    more = [("more", evaluation("more")), ("most", evaluation("most"))]
    return store.add_imported([ImportedRun("open-clip", "ViT", {}, "imported", more)])


#: Every method that writes, given a run that it may change; what it gives is compared too.
ACTS: dict[str, Act] = {
    "submit": lambda store, held: store.submit(identity("new")),
    "submit what is there": lambda store, held: store.submit(identity("claim")),
    "submit a replicate": lambda store, held: store.submit(identity("claim"), rerun=True),
    "keep_contents": lambda store, held: store.keep_contents({"hash": "{}"}),
    "claim": lambda store, held: store.claim(held.run_id, "me", 60),
    "claim what is held": lambda store, held: store.claim(held.run_id, "me", 60),
    "rewind": lambda store, held: store.rewind(held, 1),
    "renew": lambda store, held: store.renew(held, 60),
    "release": lambda store, held: store.release(held),
    "fail": lambda store, held: store.fail(held, "nan", "not finite", "Traceback"),
    "record_points": lambda store, held: store.record_points(held, points(4.0, 5.0, 6.0)),
    "finish": lambda store, held: finish(store, held),
    "add_evaluations": lambda store, held: store.add_evaluations(
        held.run_id, [evaluation("more")], {"more": "more"}
    ),
    "add_imported": _add_imported,
}


def _prepared(store: Store, name: str) -> Claim:
    held = claimed(store, name)
    store.record_points(held, points(1.0, 2.0, 3.0))
    if name == "add_evaluations":
        finish(store, held)
    if name == "claim":
        store.release(held)
    return held


def _plain(value: object) -> object:
    """Without what differs from database to database: ids of runs, and times."""
    if isinstance(value, RunRow):
        return value.train_hash, value.replicate, value.status, value.fence
    if isinstance(value, Claim):
        return value.fence, value.worker, value.lease_seconds
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
    values = sorted((row[2:6] for row in rows["metrics"]), key=repr)
    return {**{table: len(found) for table, found in rows.items()}, **said, "values": values}


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
            held = _prepared(store, name)
            setattr(between, how, 2)

            given = _plain(act(store, held))

            assert getattr(between, how) == 0, name
            assert given == expected, name
    assert _contents(postgres_url) == _contents(sqlite_url)


def test_a_reading_that_finds_its_connection_lost_takes_another(
    proxy: tuple[Proxy, Store],
) -> None:
    between, store = proxy
    held = claimed(store)
    between.cut()
    assert store.find_run(held.run_id).status == "running"


def test_a_reading_whose_connection_is_lost_in_its_midst_is_repeated(
    proxy: tuple[Proxy, Store],
) -> None:
    between, store = proxy
    held, begun = claimed(store), list[object]()

    def cut_at_first(connection: object) -> None:
        begun.append(connection)
        if len(begun) == 1:
            between.cut()

    event.listen(store._database.engine, "begin", cut_at_first)
    assert store.run_detail(held.run_id).run.status == "running"
    assert len(begun) == 2


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
