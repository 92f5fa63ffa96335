"""`mmlab db`: what it makes, what it upgrades, and what it leaves alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.old_databases import OLDER, restore
from support.snapshots import snapshot

from mmlab.cli import main
from mmlab.store.address import parse_address
from mmlab.store.engine import Database
from mmlab.store.tables import REVISION


def db(*arguments: str | Path) -> Result:
    """The result of `mmlab db ...`."""
    return CliRunner().invoke(main, ["db", *map(str, arguments)])


def test_init_makes_the_tables_once(empty_database_url: str) -> None:
    first, second = (db("init", "--db", empty_database_url) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"is now at revision {REVISION} (was empty)" in first.stderr
    assert f"is at revision {REVISION} already" in second.stderr


def test_init_leaves_an_older_database_as_it_is(tmp_path: Path) -> None:
    url = restore(OLDER[0], tmp_path / "old.db")
    before = snapshot(url)
    done = db("init", "--db", url)
    assert done.exit_code == 5
    assert f"found: revision {OLDER[0]}" in done.stderr
    assert f"next: mmlab db upgrade --db {url}" in done.stderr
    assert snapshot(url) == before
    assert [path.name for path in tmp_path.iterdir()] == ["old.db"]


def test_upgrade_says_what_it_did_and_where_the_copy_is(tmp_path: Path) -> None:
    url = restore(OLDER[0], tmp_path / "old.db")
    before = snapshot(url)
    done = db("upgrade", "--db", url)
    (copy,) = tmp_path.glob("*.backup")
    assert done.exit_code == 0
    assert f"the database as it was: {copy}" in done.stderr
    assert f"is now at revision {REVISION} (was {OLDER[0]})" in done.stderr
    assert snapshot(str(copy)) == before
    assert f"is at revision {REVISION} already" in db("upgrade", "--db", url).stderr


def test_upgrade_makes_no_database(tmp_path: Path) -> None:
    missing = tmp_path / "typed wrongly.db"
    done = db("upgrade", "--db", missing)
    assert done.exit_code == 5
    assert "there is no database" in done.stderr
    assert f"make it: mmlab db init --db sqlite:///{missing}" in done.stderr
    missing.touch()
    done = db("upgrade", "--db", missing)
    assert done.exit_code == 5
    assert "the database holds no tables of mmlab" in done.stderr
    assert missing.stat().st_size == 0


def test_upgrade_makes_no_tables_on_a_server(empty_postgres_url: str) -> None:
    done = db("upgrade", "--db", empty_postgres_url)
    assert done.exit_code == 5
    assert "next: mmlab db init --db postgresql://" in done.stderr
    assert snapshot(empty_postgres_url).rows == {}


@pytest.mark.parametrize("command", ["init", "upgrade"])
@pytest.mark.parametrize("revision", ["9999", "next"])
def test_a_newer_database_is_refused_with_both_revisions(
    command: str, revision: str, database_url: str
) -> None:
    database = Database(parse_address(database_url))
    with database.write() as connection:
        statement = f"UPDATE mmlab_alembic_version SET version_num = '{revision}'"
        connection.exec_driver_sql(statement)
    database.close()
    before = snapshot(database_url)
    done = db(command, "--db", database_url)
    assert done.exit_code == 5
    assert "the database is newer than this program" in done.stderr
    assert f"found: revision {revision}\n" in done.stderr
    assert f"allowed: revision {REVISION}\n" in done.stderr
    assert snapshot(database_url) == before


def test_current_tells_the_revision_and_whether_it_is_ours(tmp_path: Path) -> None:
    url = restore(OLDER[0], tmp_path / "old.db")
    done = db("current", "--db", url)
    assert done.stdout == f"{OLDER[0]}\n"
    assert done.stderr == f"this program's revision is {REVISION}\n"
    told = json.loads(db("current", "--db", url, "--json").stdout)
    assert told == {
        "schema_version": 1,
        "revision": OLDER[0],
        "head": REVISION,
        "is_current": False,
    }


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems hold no such name")
def test_a_folder_whose_name_is_not_utf_8_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fol\udcff"
    folder.mkdir()
    monkeypatch.chdir(folder)
    found = CliRunner().invoke(main, ["db", "init"])
    assert (found.exit_code, list(folder.iterdir())) == (2, [])
    assert "the working directory is not UTF-8\n" in found.stderr
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMLAB_DB", "a\udcff.db")
    assert CliRunner().invoke(main, ["ls"]).exit_code == 2


def test_a_working_directory_that_was_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = CliRunner().invoke(main, ["ls"])
    assert (found.exit_code, "it was deleted" in found.stderr) == (2, True)
