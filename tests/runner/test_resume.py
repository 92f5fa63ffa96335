"""A run that was interrupted goes on from its newest checkpoint, and ends as if it never was."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from support.lab import (
    PAIRED,
    TOY,
    Lab,
    Shown,
    child_environment,
    here,
    install,
)
from support.stopped import Stopping, expire_leases, left, stop, twin, wait_for

from mmlab.hashing import digest
from mmlab.records import Progress
from mmlab.runner.garbage import delete, find_checkpoints
from mmlab.runner.runner import run_specs
from mmlab.store.address import parse_address
from mmlab.store.tables import metrics

#: 24 samples in batches of 8: 18 steps, a validation every third.
LONG = ("train.epochs=6", "train.emit_every=2", "train.checkpoint_every=3")
#: Checkpoints after 5 and 10 steps, both between two emissions.
BETWEEN = ("train.epochs=6", "train.emit_every=4", "train.checkpoint_every=5")
STEPS = 18

#: Components and settings of mmlab itself are in test_resume_components.py.
CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "plain": (TOY, ()),
    "an average and patience": (PAIRED, ("train.ema=0.9", "train.patience=4")),
    "best by a metric": (PAIRED, ("train.best=zero_shot/top1", "train.ema=0.5")),
    "inputs that tremble": (PAIRED, ("encoders.image.use=shaky", "fusion.modality_dropout=0.3")),
    "workers": (PAIRED, ("encoders.image.use=shaky", "train.workers=2")),
    "a loss with a state": (TOY, ("losses.0.use=remembering",)),
    "a loss that gambles": (TOY, ("losses.0.use=gambling",)),
    "a fusion with buffers": (TOY, ("fusion.use=normed", "train.ema=0.9")),
    "several losses": (PAIRED, ("losses.0.use=sigmoid", "train.layer_decay=0.5")),
}


@pytest.fixture(autouse=True)
def _keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "keeping", "keeping")


def hashed_steps(name: str) -> tuple[int, int]:
    """Two steps that have nothing to do with the spec but its name, one after the other."""
    first, second, *_ = hashlib.sha256(name.encode()).digest()
    return 6 + first % 4, 11 + second % 5


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_ends_bit_for_bit_as_if_it_had_not_been_stopped(sqlite_lab: Lab, name: str) -> None:
    tables, more = CASES[name]
    other = twin(sqlite_lab, "stopped")
    overrides = (*BETWEEN, *more)
    sqlite_lab.run_one(sqlite_lab.write("cell", tables), *overrides)
    spec = other.write("cell", tables)
    for step in hashed_steps(name):
        stop(other, spec, step, *overrides)
    detail = other.run_one(spec, *overrides)
    assert [a.outcome for a in detail.attempts] == ["interrupted", "interrupted", "ok"]
    said = [note for note in other.shown.notes if note.startswith("goes on")]
    assert said == [f"goes on from step {step} of {STEPS}" for step in (5, 10)]
    assert left(other) == left(sqlite_lab)
    assert not (other.runs / detail.run.run_id / "checkpoints").exists()


def test_curves_have_neither_gap_nor_double(lab: Lab) -> None:
    """On both databases; some points after the checkpoint are stored, and go."""
    spec = lab.write("toy")
    stop(lab, spec, 11, "train.epochs=6", "train.checkpoint_every=4")
    assert steps_of_curve(lab) == list(range(1, 12))
    overrides = ("train.epochs=6", "train.checkpoint_every=4")
    with pytest.raises(KeyboardInterrupt):  # as soon as it has gone on
        run_specs([spec], here(lab.db, *overrides), Stopping(at=9))
    assert steps_of_curve(lab) == list(range(1, 10))
    lab.run_one(spec, *overrides)
    assert steps_of_curve(lab) == list(range(1, STEPS + 1))


def steps_of_curve(lab: Lab) -> list[int]:
    """The steps of the points of a curve, of whatever run there is."""
    engine = create_engine(parse_address(lab.db).url)
    with engine.connect() as connection:
        query = select(metrics.c.step).where(metrics.c.name == "train/lr")
        found = list(connection.scalars(query.order_by(metrics.c.step)))
    engine.dispose()
    return found


def interrupted(lab: Lab, spec: Path, step: int = 8, *overrides: str) -> Path:
    """The checkpoints of a run that is stopped."""
    stop(lab, spec, step, *LONG, *overrides)
    return lab.runs / lab.detail("@last").run.run_id / "checkpoints"


def test_a_damaged_checkpoint_costs_the_steps_from_the_one_before(sqlite_lab: Lab) -> None:
    other = twin(sqlite_lab, "stopped")
    sqlite_lab.run_one(sqlite_lab.write("cell", PAIRED), *LONG)
    spec = other.write("cell", PAIRED)
    folder = interrupted(other, spec)
    os.truncate(folder / "step-000000006" / "tensors.safetensors", 1000)
    other.run_one(spec, *LONG)
    assert "goes on from step 3 of 18" in other.shown.notes
    assert any("this checkpoint is damaged" in note for note in other.shown.notes)
    assert left(other) == left(sqlite_lab)


def test_restart_trains_from_the_first_step(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    interrupted(sqlite_lab, spec)
    sqlite_lab.run_one(spec, *LONG, restart=True)
    assert not any("goes on from" in note for note in sqlite_lab.shown.notes)
    assert [p.step for p in sqlite_lab.shown.progressed][:2] == [2, 3]
    assert steps_of_curve(sqlite_lab) == [2, 3, 4, 6, 8, 9, 10, 12, 14, 15, 16, 18]


def changed_code(folder: Path) -> None:
    """Say that its checkpoints were made with another torch."""
    for path in folder.glob("step-*/manifest.json"):
        body = json.loads(path.read_text())["body"]
        body["made_with"]["libraries"]["torch"] = "1.0"
        path.write_text(json.dumps({"sha256": digest(body), "body": body}))


def test_a_run_does_not_go_on_with_other_code(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    changed_code(interrupted(sqlite_lab, spec))
    before = sqlite_lab.kept()
    (outcome,) = sqlite_lab.run(spec, *LONG)
    assert outcome.status == "failed"
    assert "libraries torch: 1.0, now " in (outcome.error or "")
    assert "mmlab run with --restart" in (outcome.error or "")
    assert sqlite_lab.kept() == before
    assert sqlite_lab.statuses(spec, *LONG, restart=True) == ["done"]


def test_a_run_that_failed_goes_on_and_with_mended_code_begins_anew(sqlite_lab: Lab) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script("8 raise")
    overrides = (*LONG, script)
    assert sqlite_lab.statuses(spec, *overrides) == ["failed"]
    sqlite_lab.script("3 raise")
    assert sqlite_lab.statuses(spec, *overrides) == ["failed"]
    assert sqlite_lab.shown.notes[-1] == "goes on from step 6 of 18"
    changed_code(sqlite_lab.runs / sqlite_lab.detail("@last").run.run_id / "checkpoints")
    sqlite_lab.script("")
    sqlite_lab.shown.notes.clear()
    sqlite_lab.run_one(spec, *overrides)
    (note,) = sqlite_lab.shown.notes
    assert note.startswith("begins anew: libraries torch: 1.0, now ")


def test_a_validation_before_the_first_step_is_not_repeated(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("cell", PAIRED)
    interrupted(sqlite_lab, spec, 8, "train.best=zero_shot/top1")
    (outcome,) = sqlite_lab.run(spec, *LONG, "train.best=zero_shot/top1")
    assert outcome.status == "done"


def test_how_often_is_part_of_no_identity(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    sqlite_lab.run_one(spec, "train.checkpoint_every=2")
    assert sqlite_lab.statuses(spec, 'train.checkpoint_every="10m"') == ["skipped"]


def test_checkpoints_of_a_failed_run_are_garbage(sqlite_lab: Lab) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script("8 raise")
    folder = interrupted(sqlite_lab, sqlite_lab.write("other"))
    with sqlite_lab.store() as store:
        assert find_checkpoints(sqlite_lab.runs, store) == []
        sqlite_lab.run(spec, *LONG, script)
        (found,) = find_checkpoints(sqlite_lab.runs, store)
    assert (found.kind, found.reason) == ("checkpoints", "a failed run")
    assert found.size_bytes > 1000
    delete(found)
    assert not found.path.exists()
    assert folder.exists()
    sqlite_lab.script("")
    sqlite_lab.run_one(spec, *LONG, script)


@dataclass
class Asking(Shown):
    """Somebody who presses Ctrl-C, once or twice, when training has come so far."""

    at: int = 0
    times: int = 1

    def progress(self, progress: Progress) -> None:
        for _ in range(self.times if progress.step == self.at else 0):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def heard_ctrl_c() -> Iterator[None]:
    """Ctrl-C as at a terminal: whoever starts tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("at", "times", "kept"), [(8, 1, [8]), (8, 2, []), (18, 1, [])])
def test_ctrl_c_waits_for_a_checkpoint_and_a_second_one_does_not(
    sqlite_lab: Lab, at: int, times: int, kept: list[int], heard_ctrl_c: None
) -> None:
    other = twin(sqlite_lab, "stopped")
    overrides = (*LONG[:2], "train.checkpoint_every=1h")
    sqlite_lab.run_one(sqlite_lab.write("cell", PAIRED), *overrides)
    spec, before = other.write("cell", PAIRED), signal.getsignal(signal.SIGINT)
    given = here(other.db, *overrides)
    with pytest.raises(KeyboardInterrupt):
        run_specs([spec], given, Asking(at=at, times=times))
    assert signal.getsignal(signal.SIGINT) is before
    assert [int(path.name[5:]) for path in other.runs.glob("*/checkpoints/step-*")] == kept
    assert other.detail("@last").run.status == "queued"
    other.run_one(spec, *overrides)
    assert left(other) == left(sqlite_lab)


KILLED = ("losses.0.use=slow", "train.emit_every=1", "train.checkpoint_every=1", "train.epochs=8")
#: Steps of 24 at which the command is killed, or at most a few later.
KILLS = (2, 5, 6, 10, 13, 17)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_command_that_is_killed_six_times_ends_as_if_it_had_not_been(
    sqlite_lab: Lab, workers: int
) -> None:
    overrides = (*KILLED, f"train.workers={workers}", "encoders.image.use=shaky")
    other = twin(sqlite_lab, "killed")
    sqlite_lab.run_one(sqlite_lab.write("cell", TOY), *overrides)
    spec, starts = other.write("cell", TOY), [0]
    for step in KILLS:
        with command(other, spec, *overrides) as process:
            at = max(step, starts[-1] + 1)
            wait_for(lambda at=at: newest(other) >= at)  # type: ignore[misc]
            process.kill()
        assert other.detail("@last").run.status == "running"
        starts.append(newest(other))
        expire_leases(other.db)
    with command(other, spec, *overrides) as process:
        assert f"goes on from step {starts[-1]} of 24" in process.communicate()[1]
    assert process.returncode == 0
    assert [a.outcome for a in other.detail("@last").attempts] == ["lost"] * 6 + ["ok"]
    assert steps_of_curve(other) == list(range(1, 25))
    assert left(other) == left(sqlite_lab)


def newest(lab: Lab) -> int:
    """The step of the newest checkpoint."""
    found = lab.runs.glob("*/checkpoints/step-*")
    return max((int(path.name[5:]) for path in found), default=0)


def command(lab: Lab, spec: Path, *overrides: str) -> subprocess.Popen[str]:
    """`mmlab run` in a process of its own, which executes cells in a child of it."""
    given = [part for override in overrides for part in ("--set", override)]
    return subprocess.Popen(
        [sys.executable, "-m", "mmlab", "run", spec, "--db", lab.db, "--device", "cpu", *given],
        env={**child_environment(), "MMLAB_IN_PROCESS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("hiding", ("state of losses.hiding._extra_state", "builtins.dict")),
        ("turning", ("part 'losses'", "torch.complex128", "losses.turning.angle")),
    ],
)
def test_what_could_not_be_saved_is_found_before_the_first_step(
    sqlite_lab: Lab, loss: str, said: Sequence[str]
) -> None:
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy"), f"losses.0.use={loss}")
    assert outcome.status == "failed"
    assert all(words in (outcome.error or "") for words in said), outcome.error
    assert sqlite_lab.shown.progressed == []
    folder = sqlite_lab.runs / sqlite_lab.detail("@last").run.run_id
    assert not list(folder.rglob("*.*"))
