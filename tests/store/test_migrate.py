"""Databases come to be and change by migrations only, on SQLite and on Postgres."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Table, inspect, select, text
from sqlalchemy.exc import IntegrityError
from support.checkout import ROOT, TESTS
from support.store_values import claimed, dump, finish, queued, taken

from alembic import command
from mmlab.store import Store, open_store, tables, views
from mmlab.store.address import parse_address
from mmlab.store.engine import Database
from mmlab.store.migrate import alembic_config, current, migrations_folder, upgrade

OLD_DATABASES = sorted((TESTS / "old_databases").glob("*.sql"))
TABLES = [*tables.metadata.sorted_tables, *views.metadata.sorted_tables]

NONSENSE = (
    "UPDATE runs SET status = 'lost'",
    "UPDATE runs SET worker = NULL",
    "UPDATE runs SET lease_until = NULL",
    "UPDATE runs SET status = 'queued'",
    "UPDATE runs SET finished_at = created_at",
    "UPDATE runs SET spec_id = 99",
    "UPDATE cells SET run_id = '99'",
    "UPDATE cells SET spec_id = 99",
    "INSERT INTO cells SELECT * FROM cells",
    "UPDATE attempts SET outcome = 'bored'",
    "INSERT INTO metrics (run_id, name, step, value_kind) SELECT id, '', 1, 'finite' FROM runs",
    "INSERT INTO metrics (run_id, name, step, value_kind) SELECT id, '', 1, 'big' FROM runs",
    "INSERT INTO metrics (run_id, name, value_kind) SELECT id, '', 'nan' FROM runs",
    "INSERT INTO runs SELECT * FROM runs",
    "UPDATE queue SET status = 'lost'",
    "UPDATE queue SET worker = NULL",
    "UPDATE queue SET status = 'queued'",
    "UPDATE queue SET ended_at = created_at",
    "UPDATE queue SET cell_id = 99",
    "UPDATE queue SET run_id = '99'",
    "INSERT INTO queue (cell_id, experiment, status, priority, waits_for, rerun, fence, deaths,"
    " created_at) SELECT cell_id, '', 'queued', 0, '[]', rerun, 0, 0, created_at FROM queue",
    "INSERT INTO evaluation_parts VALUES ('99', '', '', 0, 0, 1, 'queued', 0,"
    " NULL, NULL, NULL, NULL)",
    "INSERT INTO evaluation_parts"
    " (run_id, evaluation_hash, work, part, first, count, status, fence)"
    " SELECT id, '', '', 0, 0, 1, 'running', 1 FROM runs",
    "INSERT INTO properties SELECT * FROM properties",
)

NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "9998"
down_revision = "{before}"


def upgrade():
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="red"))
    {then}
"""


def test_the_programs_revision_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == tables.REVISION


def test_an_empty_database_is_migrated_and_then_current(empty_database_url: str) -> None:
    done = upgrade(empty_database_url)
    assert (done.before, done.after, done.backup) == (None, tables.REVISION, None)
    assert current(empty_database_url) == tables.REVISION
    open_store(empty_database_url).close()


def test_upgrading_a_current_database_changes_nothing(database_url: str) -> None:
    before = dump(database_url)
    done = upgrade(database_url)
    assert (done.before, done.backup) == (tables.REVISION, None)
    assert dump(database_url) == before


def test_migrations_and_tables_do_not_drift_apart(database_url: str) -> None:
    database = Database(parse_address(database_url))
    command.check(alembic_config(database))
    database.close()


@pytest.mark.slow
def test_plain_alembic_works_from_the_checkout(empty_database_url: str) -> None:
    environment = {**os.environ, "MMLAB_DB": empty_database_url}
    for words in (["upgrade", "head"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "No new upgrade operations detected." in done.stdout


def test_going_down_to_nothing_and_up_again_works(database_url: str) -> None:
    database = Database(parse_address(database_url))
    command.downgrade(alembic_config(database), "base")
    assert inspect(database.engine).get_table_names() == ["mmlab_alembic_version"]
    command.upgrade(alembic_config(database), "head")
    database.close()
    open_store(database_url).close()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_view_and_column_has_a_comment(table: Table) -> None:
    assert table.comment
    assert not [column.name for column in table.columns if not column.comment]


def test_the_database_describes_itself(store: Store) -> None:
    rows = store.frame(select(tables.column_docs)).rows()
    meanings = {(table, column): meaning for table, column, meaning in rows}
    assert meanings == {
        **{(table.name, ""): table.comment for table in TABLES},
        **{(t.name, column.name): column.comment for t in TABLES for column in t.columns},
    }


def test_the_views_have_the_declared_columns(database_url: str) -> None:
    database = Database(parse_address(database_url))
    inspector = inspect(database.engine)
    for view in views.metadata.sorted_tables:
        columns = [column["name"] for column in inspector.get_columns(view.name)]
        assert columns == [column.name for column in view.columns]
    database.close()


def test_the_database_refuses_what_makes_no_sense(store: Store, database_url: str) -> None:
    claimed(store)
    store.submit_cells([queued()])
    taken(store)
    before = dump(database_url)
    database = Database(parse_address(database_url))
    for change in NONSENSE:
        with pytest.raises(IntegrityError), database.write() as connection:
            connection.exec_driver_sql(change)
    database.close()
    assert dump(database_url) == before


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program whose newest migration, a file yet to be written, is 9998."""
    folder = tmp_path / "folder with 100% oddities"
    shutil.copytree(migrations_folder(), folder)
    monkeypatch.setattr("mmlab.store.migrate.migrations_folder", lambda: folder)
    monkeypatch.setattr("mmlab.store.migrate.REVISION", "9998")
    return folder / "versions" / "9998_colour.py"


def test_an_upgrade_keeps_the_rows_and_copies_a_file_first(
    store: Store, database_url: str, next_revision: Path
) -> None:
    next_revision.write_text(NEXT_REVISION.format(before=tables.REVISION, then="pass"))
    finish(store, claimed(store))
    before = dump(database_url)
    done = upgrade(database_url)
    after = dump(database_url)
    assert (done.before, done.after) == (tables.REVISION, "9998")
    assert after["runs"] == [(*row, "red") for row in before["runs"]]
    assert {**after, "runs": 0, "mmlab_alembic_version": 0} == {
        **before,
        "runs": 0,
        "mmlab_alembic_version": 0,
    }
    if parse_address(database_url).path is not None:
        assert dump(str(done.backup)) == before


def test_a_migration_that_fails_changes_nothing(
    store: Store, database_url: str, next_revision: Path
) -> None:
    next_revision.write_text(
        NEXT_REVISION.format(before=tables.REVISION, then="raise RuntimeError('went off')")
    )
    finish(store, claimed(store))
    before = dump(database_url)
    with pytest.raises(RuntimeError, match="went off"):
        upgrade(database_url)
    assert dump(database_url) == before
    assert current(database_url) == tables.REVISION


def test_there_is_an_old_database_of_every_released_revision() -> None:
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    known = sorted(script.revision for script in scripts)
    kept = [path.stem for path in OLD_DATABASES]
    assert kept == known
    assert kept


def _restore(dumped: Path, target: Path) -> str:
    connection = sqlite3.connect(target)
    connection.executescript(dumped.read_text())
    connection.close()
    return f"sqlite:///{target}"


def test_runs_of_before_cells_were_stored_get_one_of_what_is_known(tmp_path: Path) -> None:
    (dumped,) = [path for path in OLD_DATABASES if path.stem == "0002"]
    url = _restore(dumped, tmp_path / "old.db")
    database = Database(parse_address(url))
    provenance = {"overrides": ["train.lr=2"], "override_files": [{"file": "a", "text": "b = 1"}]}
    with database.write() as connection:
        connection.execute(
            text("UPDATE runs SET provenance = :p WHERE status = 'failed'"),
            {"p": json.dumps(provenance)},
        )
    database.close()
    upgrade(url)
    with open_store(url) as store:
        (failed,), done = store.runs(status="failed"), store.runs(status="done")[-1]
        cell, other = (store.run_detail(run.run_id).cell for run in (failed, done))
    assert cell is not None
    assert cell.overrides == {"set": ["train.lr=2"], "files": [{"name": "a", "text": "b = 1"}]}
    assert (cell.position, cell.budget) == (None, None)
    assert (cell.experiment, cell.seed, cell.label) == ("emoji", 0, "fusion=gating")
    assert cell.resolved == {"name": "emoji", "fusion": {"use": "gating"}}
    assert cell.spec.name == "emoji.toml"
    assert other is not None
    assert other.overrides is None


def test_settings_of_optimisers_of_before_stand_in_their_table(tmp_path: Path) -> None:
    (dumped,) = [path for path in OLD_DATABASES if path.stem == "0002"]
    url = _restore(dumped, tmp_path / "old.db")
    database = Database(parse_address(url))
    old = json.dumps({"name": "emoji", "train": {"lr": 0.001, "betas": [0.9, 0.95]}})
    with database.write() as connection:
        for table in ("runs", "specs"):
            connection.execute(text(f"UPDATE {table} SET resolved = :old"), {"old": old})
    database.close()
    upgrade(url)
    new = {"lr": 0.001, "optimizer": {"use": "adamw", "betas": [0.9, 0.95]}}
    with open_store(url) as store:
        detail = store.run_detail(store.runs(status="done")[-1].run_id)
    assert detail.cell is not None
    assert detail.cell.resolved["train"] == new
    assert detail.cell.spec.resolved["train"] == new
    assert detail.resolved["train"] == new
    database = Database(parse_address(url))
    with database.read() as connection:
        for row in connection.execute(select(tables.specs)):
            content = f"{row.text}\0{row.resolved}"
            assert row.hash == hashlib.sha256(content.encode()).hexdigest()
    command.downgrade(alembic_config(database), "0003")
    with database.read() as connection:
        kept = connection.execute(text("SELECT resolved FROM runs")).scalars().all()
    database.close()
    assert {row for row in kept if row} == {json.dumps(json.loads(old), separators=(",", ":"))}
