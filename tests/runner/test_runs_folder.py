"""Runs leave weights where every worker of their database finds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.lab import Lab

from mmlab.cli import main
from mmlab.errors import UsageError
from mmlab.runner.runs_folder import TOKENS, RunsFolder
from mmlab.store import Store


def test_the_first_folder_is_the_databases_and_another_one_is_refused(lab: Lab) -> None:
    spec, elsewhere = lab.write("toy"), lab.folder / "elsewhere"
    lab.run_one(spec)
    before = lab.kept()
    with pytest.raises(UsageError, match="not the folder where the runs of the database") as caught:
        lab.run(spec, "sweep={seeds=[7]}", runs=elsewhere)
    with lab.store() as store:
        assert store.database_id in str(caught.value)
    assert lab.kept() == before
    assert not elsewhere.exists()
    assert lab.statuses(spec, "sweep={seeds=[7]}", runs=lab.runs) == ["done"]


def test_a_folder_may_change_until_a_run_has_left_something(store: Store, tmp_path: Path) -> None:
    RunsFolder(store, tmp_path / "one").adopt()
    RunsFolder(store, tmp_path / "two").adopt()
    assert (tmp_path / "two" / TOKENS).read_text().split() == [store.database_id]


def test_a_pipe_in_the_place_of_its_list_is_told(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / TOKENS)
    with pytest.raises(UsageError, match=f"{TOKENS} in it is a pipe"):
        RunsFolder(store, tmp_path).adopt()


def test_several_databases_may_share_a_folder(sqlite_lab: Lab, postgres_url: str) -> None:
    other = Lab(sqlite_lab.folder, postgres_url)
    spec = sqlite_lab.write("toy")
    for lab in (sqlite_lab, other, sqlite_lab):
        lab.run_one(spec, runs=sqlite_lab.runs)
    assert len((sqlite_lab.runs / TOKENS).read_text().splitlines()) == 2


def test_a_folder_is_made_the_databases_by_a_command(sqlite_lab: Lab) -> None:
    lab, new = sqlite_lab, sqlite_lab.folder / "new"
    spec = lab.write("toy")
    lab.run_one(spec)
    done = CliRunner().invoke(main, ["db", "runs", str(new), "--db", lab.db])
    assert done.exit_code == 0, done.output
    assert lab.statuses(spec, "sweep={seeds=[7]}", runs=new) == ["done"]


@pytest.mark.parametrize("name", ["x" * 300, "file/in/it"])
def test_a_folder_that_cannot_be_made_is_a_usage_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="weights cannot be kept there"):
        RunsFolder(store, Path(name)).adopt()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
def test_a_folder_that_the_system_does_not_make_costs_its_cells_and_leaves_no_claim(
    sqlite_lab: Lab,
) -> None:
    """Whoever may write every folder still makes none in /proc."""
    lab = sqlite_lab
    (outcome,) = lab.run(lab.write("toy"), runs=Path("/proc/mmlab-runs"))
    assert outcome.status == "failed"
    assert "/proc/mmlab-runs: weights cannot be kept there" in str(outcome.error)
    with lab.store() as store:
        assert [run.status for run in store.runs()] == ["queued"]
    done = CliRunner().invoke(main, ["db", "runs", "/proc/mmlab-runs", "--db", lab.db])
    assert done.exit_code == 2
    assert "weights cannot be kept there" in done.output
