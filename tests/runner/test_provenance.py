"""What a run says about where it came from, and what it keeps to itself."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from support.lab import DATASET, PAIRED, SCRIPTED, TOY, Lab

from mmlab.errors import KEPT_BYTES
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.runner.provenance import (
    describe_git,
    describe_origin,
    peak_memory_bytes,
    reset_peak_memory,
)
from mmlab.spec import expand, load_spec

SPEC = """
schema_version = 1
name = "origin"
dataset = {use = "emoji"}
encoders.image = {use = "convnet"}
encoders.text = {use = "transformer"}
fusion = {use = "concat"}
head = {use = "linear"}
losses = [{use = "cross_entropy"}]
train = {epochs = 1, batch_size = 8}
evaluate = [{use = "classification"}]
"""


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of one file."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("one")
    git(folder, "add", "file")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_work_tree_is_dirty_when_a_tracked_file_differs(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert describe_git(repository) == {"commit": commit, "is_dirty": False}
    (repository / "mmlab.db").write_text("what a run leaves")
    assert describe_git(repository) == {"commit": commit, "is_dirty": False}
    (repository / "file").write_text("two")
    assert describe_git(repository) == {"commit": commit, "is_dirty": True}


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert describe_git(tmp_path) is None


def test_where_components_of_a_distribution_have_several_sources_all_of_them_count(
    tmp_path: Path,
) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    (cell,) = expand(load_spec(path, ()))
    planned = prepare(cell, Registry.discover(BUILTINS))
    assert planned.head is not None
    head = replace(planned.head, entry=replace(planned.head.entry, is_editable=True))
    (name, found), *_ = planned.evaluators.items()
    evaluator = replace(found, entry=replace(found.entry, is_editable=True))
    alone = {head.entry.source_hash, evaluator.entry.source_hash}
    assert None not in alone
    assert len(alone) == 2

    edited = replace(planned, head=head, evaluators={name: evaluator})
    again = replace(planned, head=head, evaluators={name: evaluator, "again": evaluator})
    ours, theirs = (source_of_mmlab(plan) for plan in (edited, again))
    assert ours == theirs
    assert ours not in {None, *alone}


def source_of_mmlab(plan: Plan) -> object:
    plugins = describe_origin(plan, torch.device("cpu"), "float32")["plugins"]
    assert isinstance(plugins, dict)
    return plugins["mmlab"]["source"]


def test_a_run_records_code_versions_machine_and_settings(
    lab: Lab, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("SECRET_TOKEN", "hunter2-hunter2")
    spec = lab.write("toy", TOY, "[sweep]\nseeds = [5]\n")
    patch = lab.folder / "patch.toml"
    patch.write_text("train.lr = 0.01\n")
    detail = lab.run_one(spec, "train.deterministic=true", patch)
    said = detail.provenance
    assert said["git"] == {"commit": git(repository, "rev-parse", "HEAD"), "is_dirty": False}
    assert said["plugins"]["toys-mmlab"] == {"version": "1.0", "source": None}
    assert said["plugins"]["mmlab-fusions"]["version"] == version("mmlab-fusions")
    assert said["libraries"]["torch"] == version("torch")
    assert said["machine"]["device_type"] == "cpu"
    assert said["machine"]["cuda"] is None
    assert (said["precision"], said["seed"], said["is_deterministic"]) == ("fp32", 5, True)
    assert said["overrides"] == ["train.deterministic=true"]
    assert said["override_files"] == [{"file": str(patch), "text": "train.lr = 0.01\n"}]
    assert said["data"] == {"train": "clusters-1-24-4--False", "validation": said["data"]["train"]}
    assert detail.spec_text == spec.read_text()
    assert detail.resolved["encoders"]["image"]["dim"] == 8
    assert detail.resolved["train"]["lr"] == 0.01
    recorded = json.dumps(said)
    assert "hunter2" not in recorded
    assert socket.gethostname() not in recorded.replace(platform.platform(), "")


def test_the_host_is_recorded_as_a_hash_that_stays_the_same(sqlite_lab: Lab) -> None:
    hosts = {
        sqlite_lab.run_one(sqlite_lab.write(name)).provenance["machine"]["host"]
        for name in ("one", "two")
    }
    (host,) = hosts
    assert len(host) == 16
    assert int(host, 16) >= 0


def test_first_weights_are_said_to_be_random_or_whose_they_are(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    first = lab.run_one(lab.write("first", PAIRED))
    assert first.summary["weights"] == {"image": "random", "text": "random"}
    assert weights_notes(lab) == []
    encoders = (
        '[encoders.image]\nuse = "toy"\nweights = { run = "first" }\n\n'
        '[encoders.text]\nuse = "unsure"\n'
    )
    second = lab.run_one(lab.write("second", (DATASET, encoders, *PAIRED[2:])))
    sha256 = {kept.role: kept.sha256 for kept in first.artifacts}["best"]
    assert second.summary["weights"] == {
        "image": f"run {first.run.run_id}, encoder image, sha256 {sha256}",
        "text": "toy-B-32, random weights",
    }
    assert weights_notes(lab) == ["encoders.text: toy-B-32, random weights"]


def weights_notes(lab: Lab) -> list[str]:
    return [note for note in lab.shown.notes if note.startswith("encoders.")]


def test_a_retry_records_where_it_was_made(sqlite_lab: Lab, repository: Path) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script("1 raise")
    assert sqlite_lab.statuses(spec, script) == ["failed"]
    assert sqlite_lab.detail("toy").provenance["git"] is None
    sqlite_lab.script("")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        assert sqlite_lab.statuses(spec, script) == ["done"]
    assert sqlite_lab.detail("toy").provenance["git"]["is_dirty"] is False


@pytest.mark.parametrize(
    ("word", "raised", "said"),
    [
        ("base", "BaseException", "more than an Exception"),
        ("generator", "GeneratorExit", "out of a generator"),
        ("exit", "SystemExit", "a component that ends the program"),
        ("mute", "Mute", "what it says cannot be read: its __str__ raised SystemExit"),
    ],
)
def test_whatever_a_component_raises_costs_its_cell_alone(
    sqlite_lab: Lab, word: str, raised: str, said: str
) -> None:
    lab = sqlite_lab
    lab.script(f"3 {word}")
    loss = f'[[losses]]\nuse = "scripted"\nscript = "{lab.folder / "script"}"\n'
    tables = [loss if table == SCRIPTED else table for table in TOY]
    specs = [lab.write("broken", tables), lab.write("whole")]
    broken, whole = lab.run(specs)
    assert (broken.status, whole.status) == ("failed", "done")
    assert broken.error is not None
    assert f"{raised} was raised in a component\n  found: {said}\n" in broken.error
    detail = lab.detail("broken")
    assert (detail.run.status, detail.run.error) == ("failed", broken.error)
    (attempt,) = detail.attempts
    assert attempt.outcome == "error"
    assert attempt.traceback is not None
    assert "in _obey" in attempt.traceback


def test_of_a_message_of_30_mb_the_ends_are_kept(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    (outcome,) = lab.run(lab.write("toy"), lab.script("1 endless"))
    detail = lab.detail("toy")
    (attempt,) = detail.attempts
    for text in (outcome.error, detail.run.error, attempt.message, attempt.traceback):
        assert text is not None
        assert len(text.encode()) <= KEPT_BYTES
        assert "characters are left out ...]" in text
    assert str(attempt.traceback).startswith("Traceback (most recent call last):")
    assert "in _obey" in str(attempt.traceback)
    assert "ValueError was raised in a component" in str(outcome.error)


def test_memory_of_the_process_is_measured_in_bytes() -> None:
    assert 10 * 2**20 < peak_memory_bytes(torch.device("cpu")) < 2**40


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_of_a_gpu_is_measured_from_the_reset_on() -> None:
    device = torch.device("cuda:0")
    torch.empty(2**26, device=device)
    reset_peak_memory(device)
    torch.empty(2**20, device=device)
    assert 2**22 <= peak_memory_bytes(device) < 2**26
