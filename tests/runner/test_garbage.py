"""What can go: features, and weights that no run names; never what a run needs."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file
from support.lab import CLASSIFICATION, CONCAT, DATASET, SCRIPTED, TRAIN, Lab

from mmlab.cli import main
from mmlab.data.tables import locked
from mmlab.files import atomic_file
from mmlab.records import MetricPoint
from mmlab.runner.garbage import find_features, find_weights
from mmlab.runner.runs_folder import TOKENS
from mmlab.runner.spool import Header, Points, Spool

FROZEN = '[encoders.image]\nuse = "toy"\nfreeze = true\n[encoders.text]\nuse = "toy"\n'
TABLES = (DATASET, FROZEN, CONCAT, SCRIPTED, TRAIN, CLASSIFICATION)
UNKNOWN = "0" * 32


def gc(lab: Lab, *options: str) -> Result:
    return CliRunner().invoke(main, ["gc", "--db", lab.db, *options])


def everything(lab: Lab) -> dict[str, int]:
    """Every file of both folders, but for that which says whose runs they hold, with its size."""
    folders = (lab.runs, lab.folder / "mmlab-cache")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(lab.folder)): path.stat().st_size for path in files}
    return {name: size for name, size in found.items() if Path(name).name != TOKENS}


def leftover(lab: Lab, run_id: str = UNKNOWN, name: str = "best.safetensors") -> Path:
    path = lab.runs / run_id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"leftover")
    return path


def half_written(path: Path) -> Path:
    """What a process leaves that is killed while it writes a file."""
    with atomic_file(path) as partial:
        partial.touch()
    partial.write_bytes(b"half")
    path.unlink()
    return partial


def test_a_list_names_what_could_go_and_deletes_nothing(lab: Lab) -> None:
    lab.run_one(lab.write("frozen", TABLES))
    leftover(lab)
    before = everything(lab)
    found = json.loads(gc(lab, "--json").stdout)
    assert found["deleted"] is False
    kinds = [file["kind"] for file in found["files"]]
    assert sorted(kinds) == ["features"] * 3 + ["inputs"] * 2 + ["weights"]
    contents = {(file["kind"], file["content"]) for file in found["files"]}
    splits = ("train", "validation", "test")
    assert contents >= {("features", f"toy on clusters, {split}") for split in splits}
    assert contents >= {("inputs", f"toy on clusters, {split}") for split in splits[:2]}
    assert [file["reason"] for file in found["files"]][-1] == "no such run in the database"
    assert everything(lab) == before
    shown = gc(lab)
    assert "can go: add --yes to delete" in shown.stderr
    assert "toy on clusters, train" in shown.stdout


def test_a_file_is_a_line_of_80_columns(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "ab" * 32
    leftover(sqlite_lab)
    for number in (1, 2):
        path = sqlite_lab.folder / "mmlab-cache" / f"{name[number:]}{'c' * number}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 4210)
    lines = [" ".join(line.split()) for line in gc(sqlite_lab).stdout.splitlines()]
    assert "features 4.2 kB damaged babababababa" in lines
    assert f"weights 0.0 kB best of run {UNKNOWN[:12]} best" in lines
    assert lines[-2:] == [
        "2 files of features: can be computed again",
        "1 file of weights: no such run in the database",
    ]


def test_what_is_deleted_can_be_computed_again_and_weights_of_runs_stay(lab: Lab) -> None:
    spec = lab.write("frozen", TABLES)
    first = lab.run_one(spec)
    path = leftover(lab)
    assert gc(lab, "--yes").exit_code == 0
    assert not path.parent.exists()
    assert set(everything(lab)) == {f"mmlab-runs/{kept.path}" for kept in first.artifacts}
    assert lab.weights(first)
    assert "nothing to delete" in gc(lab).stderr
    again = lab.run_one(spec, rerun=True)
    assert again.evaluations[0].metrics == first.evaluations[0].metrics


def test_one_kind_may_be_chosen(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("frozen", TABLES))
    path = leftover(sqlite_lab)
    gc(sqlite_lab, "--features", "--yes")
    assert path.exists()
    assert not list((sqlite_lab.folder / "mmlab-cache").iterdir())
    gc(sqlite_lab, "--weights", "--yes")
    assert not path.exists()


@pytest.mark.parametrize(
    ("status", "goes"), [("queued", False), ("running", False), ("failed", True)]
)
def test_a_run_that_may_go_on_keeps_its_files(sqlite_lab: Lab, status: str, goes: bool) -> None:
    from support.store_values import identity

    with sqlite_lab.store() as store:
        row = store.submit(identity())
        if status != "queued":
            claim = store.claim(row.run_id, "worker", 60, {})
            assert claim is not None
            if status == "failed":
                store.fail(claim, "error", "stopped", "")
        path = leftover(sqlite_lab, row.run_id)
        found = find_weights(sqlite_lab.runs, store)
    assert [garbage.path for garbage in found] == ([path] if goes else [])


def test_files_of_others_are_not_looked_at(sqlite_lab: Lab) -> None:
    done = sqlite_lab.run_one(sqlite_lab.write("frozen", TABLES))
    cache = sqlite_lab.folder / "mmlab-cache"
    strange = [
        leftover(sqlite_lab, done.run.run_id, "notes.txt"),
        leftover(sqlite_lab, "my-folder", "best.safetensors"),
        leftover(sqlite_lab, UNKNOWN, "notes.txt"),
        sqlite_lab.runs / "model.safetensors",
        cache / "model.safetensors",
        cache / ".hidden",
    ]
    target = sqlite_lab.folder / "elsewhere.safetensors"
    target.write_bytes(b"weights")
    link = sqlite_lab.runs / UNKNOWN / "final.safetensors"
    link.symlink_to(target)
    for path in strange:
        path.write_bytes(b"mine")
    assert gc(sqlite_lab, "--yes").exit_code == 0
    assert all(path.exists() for path in (*strange, target, link))


def test_leftovers_of_a_killed_process_go_but_not_those_of_one_at_work(tmp_path: Path) -> None:
    key = "a" * 64
    partial = half_written(tmp_path / f"{key}.safetensors")
    with locked(tmp_path / f"{key}.safetensors"):
        context = multiprocessing.get_context("fork")
        with context.Pool(1) as pool:
            assert pool.apply(_names, (tmp_path,)) == []
    (tmp_path / f".{key}.lock").touch()
    assert _names(tmp_path) == sorted([partial.name, f".{key}.lock"])


def test_weights_that_a_killed_process_left_half_written_go(sqlite_lab: Lab) -> None:
    found = leftover(sqlite_lab)
    partial, unnamed = half_written(found), found.parent / ".claim-3" / ".best.partial"
    unnamed.parent.mkdir()
    unnamed.write_bytes(b"half")
    assert gc(sqlite_lab, "--weights", "--yes").exit_code == 0
    assert not partial.exists()
    assert not unnamed.parent.exists()


def _names(folder: Path) -> list[str]:
    return [garbage.path.name for garbage in find_features(folder)]


def test_folders_that_are_not_there_hold_nothing(sqlite_lab: Lab) -> None:
    missing = str(sqlite_lab.folder / "missing")
    result = gc(sqlite_lab, "--runs", missing, "--cache", missing, "--yes")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_damaged_file_can_go_too(tmp_path: Path) -> None:
    path = tmp_path / ("b" * 64 + ".safetensors")
    path.write_bytes(b"no tensors")
    (found,) = find_features(tmp_path)
    assert found.content == "damaged"
    save_file({"a": np.zeros(1)}, path, {"mmlab": "[" * 100_000})
    (found,) = find_features(tmp_path)
    assert found.content == "damaged"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may delete everywhere")
def test_what_cannot_be_deleted_is_an_error(sqlite_lab: Lab) -> None:
    path = leftover(sqlite_lab)
    path.parent.chmod(0o555)
    result = gc(sqlite_lab, "--yes")
    assert result.exit_code == 1
    assert "cannot be deleted" in result.stderr


def spool(lab: Lab, run_id: str, database: str, *, fence: int = 1) -> Spool:
    """The spool of a claim, with a point, open as in the process that has the claim."""
    path = lab.runs / "spool" / f"{run_id}-{fence}-{'ab' * 4}.bin"
    found = Spool(path, Header(database, run_id, fence, "ab" * 16, 60))
    found.append(Points((MetricPoint("loss", 1, 0.5),)))
    return found


def listed_spools(lab: Lab) -> list[tuple[str, str]]:
    found = json.loads(gc(lab, "--weights", "--json").stdout)["files"]
    return [(Path(one["path"]).name, one["reason"]) for one in found if one["kind"] == "spools"]


def test_spools_that_nobody_will_record_can_go(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    done = lab.run_one(lab.write("done")).run.run_id
    lab.statuses(lab.write("failed"), lab.script("2 raise"))
    failed = lab.detail("failed").run.run_id
    with lab.store() as store:
        own = store.database_id
    stay = (spool(lab, failed, own), spool(lab, UNKNOWN, "f" * 32), spool(lab, done, "f" * 32))
    lost, over, living = (
        spool(lab, "a" * 32, own),
        spool(lab, done, own, fence=2),
        spool(lab, "b" * 32, own),
    )
    for one in (*stay, lost, over):
        one.close()
    unfinished = lost.path.with_name(f"{'c' * 32}-1-{'ab' * 4}.bin")
    unfinished.touch()
    other = lost.path.with_name("notes.txt")
    other.write_text("not ours")
    unknown = "no such run in the database"
    expected = {lost.path.name: unknown, over.path.name: "a done run"}
    expected[unfinished.name] = "left by a process that ended early"
    assert dict(listed_spools(lab)) == expected
    assert gc(lab, "--weights", "--yes").exit_code == 0
    left = {one.path for one in (*stay, living)} | {other}
    assert set(other.parent.iterdir()) == left
    living.close()
    assert listed_spools(lab) == [(living.path.name, unknown)]
