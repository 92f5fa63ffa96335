"""`mmlab sync`: what it says, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.store_values import claimed, evaluation

from mmlab.cli import main
from mmlab.runner.spool import Finish, Header, Spool, spool_path
from mmlab.store import Claim, open_store


def leave(folder: Path, claim: Claim) -> Path:
    """The sealed spool of a run that has ended."""
    whose = (claim.run_id, claim.fence, claim.worker, claim.lease_seconds)
    spool = Spool(spool_path(folder, claim), Header("", *whose, host="\x1b[31mhost"))
    spool.append(Finish((evaluation(),), {"zero_shot": "hash"}))
    spool.close()
    return spool.path


def sync(url: str, *more: str) -> Result:
    return CliRunner().invoke(main, ["sync", "--db", url, *more])


def test_a_run_is_recorded_and_then_there_is_nothing_to_do(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        claim, folder = claimed(store), store.runs_folder
    path = leave(folder, claim)
    first, second = sync(sqlite_url), sync(sqlite_url)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stderr == f"{path}: recorded: run {claim.run_id} is done\n"
    assert (second.stderr, second.stdout) == (f"nothing to record in {folder}\n", "")
    with open_store(sqlite_url) as store:
        assert store.run_detail(claim.run_id).run.status == "done"


def test_what_this_database_does_not_know_is_said_and_kept(sqlite_url: str, tmp_path: Path) -> None:
    path = leave(tmp_path / "elsewhere", Claim("c" * 32, 1, "d" * 32, 60.0))
    found = sync(sqlite_url, "--runs", str(tmp_path / "elsewhere"))
    assert found.exit_code == 1
    assert f"{path}: kept: run {'c' * 32}: it was claimed in another database" in found.stderr
    assert "\x1b" not in found.stderr
    assert path.exists()


def test_all_of_it_as_json(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        claim, folder = claimed(store), store.runs_folder
    path = leave(folder, claim)
    found = json.loads(sync(sqlite_url, "--json").stdout)
    assert found["spools"] == [
        {
            "status": "recorded",
            "path": str(path),
            "run_id": claim.run_id,
            "reason": f"recorded: run {claim.run_id} is done",
        }
    ]
    assert json.loads(sync(sqlite_url, "--json").stdout)["spools"] == []


@pytest.mark.parametrize("db", ["nowhere.db", "postgresql://me@127.0.0.1:1/no"])
def test_where_the_database_is_away_all_is_kept(db: str, tmp_path: Path) -> None:
    path = leave(tmp_path, Claim("c" * 32, 1, "d" * 32, 60.0))
    found = sync(str(tmp_path / db) if "://" not in db else db, "--runs", str(tmp_path))
    assert found.exit_code == 5
    assert path.exists()
