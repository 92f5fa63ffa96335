"""What ends a training besides kills: numbers that are not finite, and full disks."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from support.lab import PAIRED, TRAIN, Lab, Shown, child_environment, here
from support.stopped import left, twin

from mmlab.records import Progress
from mmlab.runner.coordinator import Outcome
from mmlab.runner.runner import run_specs

#: 18 steps.
LONG = ("train.epochs=6", "train.emit_every=2", "train.checkpoint_every=3")


def checkpoints(lab: Lab, name: str = "cell") -> list[int]:
    """The steps of the checkpoints that there are of a cell's newest run, and nothing beside."""
    folder = lab.runs / lab.detail(name).run.run_id / "checkpoints"
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


def last(lab: Lab, name: str = "cell") -> tuple[str, str, str]:
    """The status of a cell's newest run, and of its last attempt the outcome and the message."""
    detail = lab.detail(name)
    attempt = detail.attempts[-1]
    return detail.run.status, str(attempt.outcome), str(attempt.message)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (LONG, [3, 6]),  # an emission finds out
        ((*LONG[:1], "train.emit_every=9", "train.checkpoint_every=4"), [4]),  # a checkpoint does
    ],
)
def test_a_run_that_met_nan_goes_on_from_before_it(
    sqlite_lab: Lab, settings: tuple[str, ...], kept: list[int]
) -> None:
    """Where nothing has changed it comes to the same step; no state of after it is kept."""
    spec, script = sqlite_lab.write("cell"), sqlite_lab.script("8 nan")
    assert sqlite_lab.statuses(spec, *settings, script) == ["failed"]
    status, outcome, said = last(sqlite_lab)
    assert (status, outcome) == ("failed", "nan")
    assert "training step 8: the loss or its gradient is not finite" in said
    assert checkpoints(sqlite_lab) == kept
    again = 8 - kept[-1]  # steps of this attempt until the same one
    sqlite_lab.script(f"{again} nan")
    assert sqlite_lab.statuses(spec, *settings, script) == ["failed"]
    assert f"goes on from step {kept[-1]} of 18" in sqlite_lab.shown.notes
    assert last(sqlite_lab)[1:] == (outcome, said)
    assert checkpoints(sqlite_lab) == kept


def test_what_was_mended_outside_ends_as_if_there_had_been_no_nan(sqlite_lab: Lab) -> None:
    other = twin(sqlite_lab, "stopped")
    expected = sqlite_lab.run_one(sqlite_lab.write("cell"), *LONG)
    spec, script = other.write("cell"), other.script("8 nan")
    assert other.statuses(spec, *LONG, script) == ["failed"]
    other.script("")  # its text is no part of the run's identity
    found = other.run_one(spec, *LONG, script)
    assert "goes on from step 6 of 18" in other.shown.notes
    assert [a.outcome for a in found.attempts] == ["nan", "ok"]
    one, two = sqlite_lab.weights(expected), other.weights(found)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert left(other)["metrics"] == left(sqlite_lab)["metrics"]


@dataclass
class Filling(Shown):
    """Fills the disk when training has come so far, and empties it when the cell has ended."""

    at: int = 0
    size: int = 0

    def progress(self, progress: Progress) -> None:
        if progress.step >= self.at:
            self._allow(self.size)

    def finished(self, outcome: Outcome) -> None:
        self._allow(resource.RLIM_INFINITY)

    def _allow(self, size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


WIDE = '[encoders.image]\nuse = "toy"\ndim = 300\n\n[encoders.text]\nuse = "toy"\ndim = 300\n'
#: A checkpoint of 3 MB, which is more than the database takes.
LARGE = (PAIRED[0], WIDE, *PAIRED[2:4], f"{TRAIN}ema = 0.9\n", *PAIRED[5:])


def require_failed_for_space(lab: Lab, folder: Path) -> None:
    """Require that the run failed as a disk was full, with its last checkpoints as they were."""
    status, outcome, said = last(lab)
    assert (status, outcome) == ("failed", "disk_full")
    assert str(folder) in said
    assert "bytes free" in said
    assert checkpoints(lab) == [3, 6]


def test_a_disk_that_is_full_fails_the_run_and_leaves_the_last_checkpoint(sqlite_lab: Lab) -> None:
    other = twin(sqlite_lab, "full")
    sqlite_lab.run_one(sqlite_lab.write("cell", LARGE), *LONG)
    spec = other.write("cell", LARGE)
    outcomes = run_specs([spec], here(other.db, *LONG), Filling(at=8, size=2_000_000))
    assert [outcome.status for outcome in outcomes] == ["failed"]
    require_failed_for_space(other, other.runs)
    found = other.run_one(spec, *LONG)
    assert "goes on from step 6 of 18" in other.shown.notes
    assert [a.outcome for a in found.attempts] == ["disk_full", "ok"]
    assert left(other) == left(sqlite_lab)


#: Mounts a small file system, runs a command, and copies what is left there out of it.
IN_SMALL_SPACE = """
size=$1 small=$2 copy=$3; shift 3
mount -t tmpfs -o size=$size none "$small" || exit 77
"$@"; code=$?
cp -a "$small"/. "$copy"; exit $code
"""


def in_small_space(lab: Lab, size: int, *specs: Path) -> subprocess.CompletedProcess[str]:
    """`mmlab run` with so many bytes of space for weights; then they are in the lab's folder."""
    small, settings = lab.folder / "small", [x for one in LONG for x in ("--set", one)]
    for folder in (small, lab.runs):
        folder.mkdir()
    run = [sys.executable, "-m", "mmlab", "run", *specs, "--db", lab.db, "--runs", small, *settings]
    script = ["sh", "-c", IN_SMALL_SPACE, "sh", str(size), small, lab.runs, *run]
    command = ["unshare", "--map-root-user", "--mount", *script, "--device", "cpu"]
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, env=child_environment(), check=False
    )


def can_mount() -> bool:
    """Whether a file system of one's own can be mounted here."""
    command = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="no file system of one's own can be mounted here")
def test_on_a_small_file_system_one_run_fails_and_the_others_go_on(sqlite_lab: Lab) -> None:
    other = twin(sqlite_lab, "full")
    expected = sqlite_lab.run_one(sqlite_lab.write("cell", LARGE), *LONG)
    spec = other.write("cell", LARGE)
    done = in_small_space(other, 10_000_000, spec, other.write("beside"))
    assert "1 done, 1 failed" in done.stderr, done.stderr
    assert other.detail("beside").run.status == "done"
    require_failed_for_space(other, other.folder / "small")
    found = other.run_one(spec, *LONG)  # where there is more space
    assert "goes on from step 6 of 18" in other.shown.notes
    one, two = sqlite_lab.weights(expected), other.weights(found)
    assert all(torch.equal(one[name], two[name]) for name in one)
