"""`mmlab run` in two processes, interrupted: they go on together, bit for bit."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from support.lab import TOY, Lab, install
from support.processes import Ended, start, wait
from support.stopped import expire_leases, left, twin, wait_for

pytestmark = pytest.mark.slow

#: 18 steps that wait for each other.
PLAIN = (
    "losses.0.use=slow",
    "train.epochs=6",
    "train.emit_every=4",
    "train.ema=0.9",
    "train.clip_norm=0.5",
)
#: Inputs and fusion draw random numbers, and each process has a state of its own.
OWN = ("losses.0.use=uneven", "encoders.image.use=shaky", "fusion.modality_dropout=0.3")


@pytest.fixture(autouse=True)
def _keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "keeping", "keeping")


def begin(
    lab: Lab, *settings: str, every: int = 3, pace: float = 0.05
) -> list[subprocess.Popen[str]]:
    """Two processes that run one cell, with steps of `pace` seconds."""
    overrides = (*settings, f"train.checkpoint_every={every}")
    given = [part for override in overrides for part in ("--set", override)]
    spec = lab.write("cell", TOY)
    command = ["-m", "mmlab", "run", spec.name, "--device", "cpu", *given]
    variables = {"MMLAB_DB": lab.db, "MMLAB_GROUP_TIMEOUT": "30", "MMLAB_IN_PROCESS": "0"}
    return start([command] * 2, lab.folder, **variables, MMLAB_TEST_PACE=str(pace))


def run(lab: Lab, *settings: str) -> Ended:
    """Run it to its end; how the main process ended."""
    first, second = wait(begin(lab, *settings))
    assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
    return first


def checkpoints(lab: Lab) -> list[int]:
    """The steps of the checkpoints that there are."""
    return sorted(int(path.name[5:]) for path in lab.runs.glob("*/checkpoints/step-*"))


def test_killed_together_they_end_as_if_they_had_not_been(sqlite_lab: Lab) -> None:
    settings = (*PLAIN[1:], *OWN, "train.parallel=fsdp")
    other = twin(sqlite_lab, "killed")
    run(sqlite_lab, *settings)
    both = begin(other, *settings)
    wait_for(lambda: 6 in checkpoints(other), both)
    for process in both:
        process.kill()
    wait(both)
    assert other.detail("@last").run.status == "running"
    files = {path.name for path in next(other.runs.glob("*/checkpoints/step-*")).iterdir()}
    assert {"tensors.safetensors", "tensors-1.safetensors", "values-1.json"} <= files
    expire_leases(other.db)
    said = run(other, *settings).stderr
    assert "goes on from step" in said
    assert "bit-identical" not in said
    assert left(other) == left(sqlite_lab)


def stopped(lab: Lab, rank: int, number: signal.Signals) -> int:
    """Ask one of two processes to stop; the step of the one checkpoint that is left."""
    # A step takes longer than points take to the database, on a busy machine too.
    both = begin(lab, *PLAIN, every=1000, pace=0.7)
    wait_for(lambda: lab.row_counts()["metrics"], both)
    both[rank].send_signal(number)
    first, second = wait(both)
    assert 0 not in (first.code, second.code)
    assert "Traceback" not in first.stderr + second.stderr
    assert lab.detail("@last").run.status == "queued"
    (step,) = checkpoints(lab)
    return step


def test_ctrl_c_lets_both_finish_a_step_and_they_go_on(sqlite_lab: Lab) -> None:
    step = stopped(sqlite_lab, 0, signal.SIGINT)
    assert f"goes on from step {step} of 18" in run(sqlite_lab, *PLAIN).stderr


def test_one_that_is_stopped_stops_the_other_and_one_alone_may_go_on(sqlite_lab: Lab) -> None:
    """As far as they compute the same, it ends as one process would have; that is told."""
    other = twin(sqlite_lab, "two")
    alone = sqlite_lab.run_one(sqlite_lab.write("cell", TOY), *PLAIN)
    step = stopped(other, 1, signal.SIGTERM)
    found = other.run_one(other.write("cell", TOY), *PLAIN)
    assert f"goes on from step {step} of 18" in other.shown.notes
    assert any("1 process goes on with what 2 began" in note for note in other.shown.notes)
    assert found.summary["processes"] == [2, 1]
    assert "processes" not in alone.summary
    one, two = sqlite_lab.weights(alone), other.weights(found)
    assert all(one[name].allclose(two[name], rtol=0, atol=1e-4) for name in one)
