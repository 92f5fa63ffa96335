"""SQLite files that this user cannot write are read, whole: in place or as a copy."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.store_values import claimed, finish, identity

import mmlab
from mmlab.cli import main
from mmlab.errors import StoreError
from mmlab.store import Store, open_store

_NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may read, with room for databases."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """As somebody who may read the folder's files and write nothing there."""
    user = os.geteuid()
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    os.seteuid(_NOBODY if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def fill(template: Path, target: Path) -> Store:
    """An open store with a done run, nothing of which is in the file itself yet."""
    shutil.copy(template, target)
    store = open_store(str(target))
    finish(store, claimed(store))
    return store


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def test_a_closed_file_is_read_in_place(sqlite_template: Path, shared: Path) -> None:
    fill(sqlite_template, shared / "mmlab.db").close()
    assert names(shared) == ["mmlab.db"]
    with unwritable(shared), open_store(str(shared / "mmlab.db")) as store:
        assert store.notice is None
        assert [run.status for run in store.runs()] == ["done"]
        with pytest.raises(StoreError, match="writable for this user"):
            store.submit(identity("more"))
    assert names(shared) == ["mmlab.db"]


def test_what_lies_in_the_log_alone_is_read_from_a_copy(
    sqlite_template: Path, shared: Path
) -> None:
    held = fill(sqlite_template, shared / "mmlab.db")
    other = shared / "copied"
    other.mkdir()
    for name in ("mmlab.db", "mmlab.db-wal"):  # as a backup or another machine has it
        shutil.copy(shared / name, other)
    held.close()
    log = (other / "mmlab.db-wal").read_bytes()
    assert log
    with unwritable(other), pytest.warns(UserWarning, match="a copy of both"):
        results = mmlab.results(other / "mmlab.db")
    assert results.runs().height == 1
    assert results.leaderboard().height == 5
    with pytest.raises(StoreError, match="writable for this user"):
        results.store.submit(identity("more"))
    results.close()
    assert (other / "mmlab.db-wal").read_bytes() == log


def test_the_verbs_say_that_a_copy_is_read_and_leave_none(
    sqlite_template: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = fill(sqlite_template, shared / "mmlab.db")
    other, copies = shared / "copied", shared / "copies"
    for folder in (other, copies):
        folder.mkdir()
    copies.chmod(0o777)
    for name in ("mmlab.db", "mmlab.db-wal"):
        shutil.copy(shared / name, other)
    held.close()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    ask = [[verb, "--json", "--db", str(other / "mmlab.db")] for verb in ("ls", "report")]
    for arguments in ask:  # all is imported then: nobody may not read the interpreter's files
        CliRunner().invoke(main, [*arguments[:2], "--db", str(sqlite_template)])
    with unwritable(other):
        for arguments in ask:
            said = CliRunner().invoke(main, arguments)
            assert said.exit_code == 0, said.output
            assert json.loads(said.stdout)
            assert "read is a copy of both" in said.stderr
    assert names(copies) == []


def test_a_writer_beside_is_read_in_place(sqlite_template: Path, shared: Path) -> None:
    with fill(sqlite_template, shared / "mmlab.db"):
        assert "mmlab.db-shm" in names(shared)
        with unwritable(shared), open_store(str(shared / "mmlab.db")) as reader:
            assert reader.notice is None
            assert len(reader.runs()) == 1


def test_a_file_that_changes_while_it_is_read_in_place_is_refused(
    sqlite_template: Path, shared: Path
) -> None:
    path = shared / "mmlab.db"
    fill(sqlite_template, path).close()
    with unwritable(shared):
        reader = open_store(str(path))
        assert len(reader.runs()) == 1
    with open_store(str(path)) as writer:
        writer.submit(identity("more"))
    with pytest.raises(StoreError, match="changed while it was read"):
        reader.runs()
    reader.close()


def test_half_a_change_is_undone_in_the_copy(sqlite_template: Path, shared: Path) -> None:
    """A journal that undoes what a writer left half done is no less part of a file than a log."""
    path, other = shared / "mmlab.db", shared / "copied"
    fill(sqlite_template, path).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = DELETE")
    writer.execute("PRAGMA cache_size = 1")  # so that changes reach the file before the commit
    writer.execute("BEGIN")
    writer.execute("UPDATE labels SET text = text || hex(randomblob(20000))")
    writer.execute("UPDATE runs SET experiment = 'half'")
    other.mkdir()
    for name in ("mmlab.db", "mmlab.db-journal"):
        shutil.copy(shared / name, other)
    writer.execute("ROLLBACK")
    writer.close()
    assert (other / "mmlab.db-journal").stat().st_size
    with unwritable(other), open_store(str(other / "mmlab.db")) as store:
        assert store.notice is not None
        assert [run.experiment for run in store.runs()] == ["emoji"]
