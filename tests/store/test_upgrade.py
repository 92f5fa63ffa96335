"""A database of each revision of before, on both databases, with rows in all of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sqlalchemy import REAL, URL, Column, inspect, select
from support.old_databases import (
    EVERYTHING,
    FOLDER,
    OLDER,
    REVISIONS,
    OldDatabases,
    forget,
    restore,
)
from support.readings import readings
from support.snapshots import schema_lines, snapshot
from support.store_values import claimed, evaluation, finish, points

from alembic import command
from mmlab.store import open_store, tables, views
from mmlab.store.address import create_file, parse_address
from mmlab.store.engine import Database
from mmlab.store.migrate import alembic_config, current, upgrade
from mmlab.store.tables import REVISION

of_each_revision = pytest.mark.parametrize("revision", REVISIONS)
of_each_older_revision = pytest.mark.parametrize("revision", OLDER)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> OldDatabases:
    """Databases of before on SQLite."""
    return OldDatabases(tmp_path_factory.mktemp("old"), None)


@pytest.fixture(scope="module")
def servers(postgres_server: URL, tmp_path_factory: pytest.TempPathFactory) -> OldDatabases:
    """Databases of before on Postgres."""
    return OldDatabases(tmp_path_factory.mktemp("old"), postgres_server)


@pytest.fixture(params=["files", "servers"])
def old(request: pytest.FixtureRequest) -> OldDatabases:
    """Databases of before, on SQLite and on Postgres."""
    found: OldDatabases = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def opened(empty_sqlite_url: str) -> Iterator[Database]:
    """A SQLite file without any table."""
    create_file(address := parse_address(empty_sqlite_url))
    database = Database(address)
    yield database
    database.close()


@of_each_revision
def test_a_kept_database_is_as_its_migrations_make_one(
    revision: str, opened: Database, tmp_path: Path
) -> None:
    command.upgrade(alembic_config(opened), revision)
    kept = snapshot(restore(revision, tmp_path / "kept.db"))
    assert kept.schema == snapshot(f"sqlite:///{opened.address.path}").schema
    assert [name for name, rows in kept.rows.items() if not rows] == []


@of_each_older_revision
def test_every_row_is_kept_and_every_view_reads_the_same(old: OldDatabases, revision: str) -> None:
    before, after = old.upgraded(revision)
    assert after.holds(before)
    assert after.rows["mmlab_alembic_version"] == [(("version_num", REVISION),)]
    assert after.schema == old.upgraded(REVISION)[0].schema


def test_a_lost_row_and_a_changed_one_would_be_noticed(old: OldDatabases) -> None:
    with old.copy(REVISION) as url:
        before = snapshot(url)
        database = Database(parse_address(url))
        for statement in ("DELETE FROM shots WHERE sample_id = 5", "UPDATE runs SET seed = 9"):
            with database.write() as connection:
                connection.exec_driver_sql(statement)
            assert not snapshot(url).holds(before)
        database.close()


@of_each_older_revision
def test_both_databases_hold_the_same_after_an_upgrade(
    files: OldDatabases, servers: OldDatabases, revision: str
) -> None:
    with files.copy(revision) as file, servers.copy(revision) as server:
        upgrade(file)
        upgrade(server)
        assert _typed_rows(file) == _typed_rows(server)


def _typed_rows(url: str) -> dict[str, list[str]]:
    """The rows of all tables and views as this program reads them, in an order of our own."""
    database = Database(parse_address(url))
    with database.read() as connection:
        rows = {
            table.name: sorted(
                repr([_typed(part, value) for part, value in zip(table.c, row, strict=True)])
                for row in connection.execute(select(table))
            )
            for table in (*tables.metadata.sorted_tables, *views.metadata.sorted_tables)
        }
    database.close()
    del rows["properties"]  # its own id
    return rows


def _typed(part: Column[Any], value: object) -> object:  # Any: of whatever type
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)  # UTC, which SQLite does not say
    if isinstance(part.type, REAL) and value is not None:
        return np.float32(cast(float, value))  # of which Postgres gives the shortest decimals
    return value


@cache
def _readings_of_today(revision: str, folder: Path) -> dict[str, str]:
    """Of a database of this program's revision that holds what one of before could hold."""
    url = restore(REVISION, folder / f"today-{revision}.db")
    forget(url, revision)
    return readings(url, folder)


@pytest.mark.slow
@of_each_older_revision
def test_every_reading_is_what_it_is_of_a_database_of_today(
    old: OldDatabases,
    revision: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not old.are_files and revision != OLDER[0] and not EVERYTHING:
        pytest.skip("its rows are the same as the file's; make migrations reads them, too")
    folder = tmp_path_factory.getbasetemp()
    monkeypatch.chdir(folder)
    with old.copy(revision) as url:
        upgrade(url)
        found = readings(url, folder)
    wanted = _readings_of_today(revision, folder)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    failed = [name for name, said in wanted.items() if not said.startswith("0\n")]
    assert failed == (["show an import"] if revision < "0002" else [])


@of_each_older_revision
def test_work_goes_on_after_an_upgrade(old: OldDatabases, revision: str) -> None:
    with old.copy(revision) as url:
        upgrade(url)
        with open_store(url) as store:
            done = store.run_detail(store.runs(status="done", experiment="emoji")[-1].run_id)
            assert [evaluation.name for evaluation in done.evaluations] == ["zero_shot", "again"]
            assert done.evaluations[0].metrics["top1"] == 0.5
            assert done.evaluations[0].metrics["top5"] is None
            more = evaluation("more", labels=("x", "y", "z", "new"))
            store.add_evaluations(done.run.run_id, [more], {"more": "more"})
            for name in ("failed", "released", "new"):
                claim = claimed(store, name)
                store.rewind(claim, 0)
                store.record_points(claim, points(1.0, 0.5))
                finish(store, claim)
            assert {run.status for run in store.runs()} == {"done", "cancelled", "running"}


@pytest.mark.slow
@of_each_older_revision
def test_going_back_and_up_again_keeps_every_row(old: OldDatabases, revision: str) -> None:
    with old.copy(revision) as url:
        before, after = old.upgraded(revision)
        upgrade(url)
        database = Database(parse_address(url))
        command.downgrade(alembic_config(database), revision)
        assert snapshot(url).holds(before)
        assert snapshot(url).rows.keys() == before.rows.keys()
        assert current(url) == revision
        upgrade(url)
        assert snapshot(url).rows == after.rows
        command.check(alembic_config(database))
        lines = schema_lines(database.engine)
        database.close()
    assert lines == (FOLDER / "schema.txt").read_text().splitlines()


def test_both_databases_have_the_schema_that_is_kept(database_url: str) -> None:
    database = Database(parse_address(database_url))
    found = schema_lines(database.engine)
    names = inspect(database.engine).get_table_names()
    database.close()
    assert found == (FOLDER / "schema.txt").read_text().splitlines()
    assert len(found) > 8 * len(names)
