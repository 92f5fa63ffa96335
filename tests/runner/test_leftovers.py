"""A process killed inside any writer leaves nothing after the next claim, or use of the cache."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mmlab.data.tables import ENDING, FeatureTable, clear_abandoned, locked, write_table
from mmlab.files import Scratch
from mmlab.model.weights import save_weights
from mmlab.plugin import Features
from mmlab.records import Artifact, MetricPoint
from mmlab.runner import checkpoints, score
from mmlab.runner.checkpoints import Checkpoints
from mmlab.runner.leftovers import CHECKPOINTS, PARTS, claim_folder, clear_leftovers
from mmlab.runner.spool import Header, Points, Spool, spool_path

RUN = "0123456789abcdef" * 2
KEY = "a" * 64
#: What puts files and folders where they are: a process is killed before each call of these.
CALLS = ("open", "mkdir", "link", "fsync", "rename", "replace", "unlink", "rmdir", "write")

Writer = Callable[[Path], None]
HEADER = Header("database", RUN, 1, "worker", 60)
POINTS = Points((MetricPoint("train/loss", 1, 0.5),))


def weights(runs: Path) -> None:
    """As training writes them, and evaluators their scores."""
    within = claim_folder(runs / RUN, 1)
    within.mkdir(parents=True, exist_ok=True)
    save_weights(runs / RUN / "best.safetensors", {"a": torch.zeros(999)}, None, within)
    save_weights(runs / RUN / "zero_shot-0123456789ab.safetensors", {"scores": torch.zeros(999)})
    save_weights(runs / RUN / PARTS / "0123" / "scores-0.safetensors", {"x": torch.zeros(999)})


def checkpoint(runs: Path) -> None:
    """Tried out, written, written again until the first one goes, and taken up."""
    (runs / RUN).mkdir(parents=True, exist_ok=True)
    best = runs / RUN / "best.safetensors"
    best.write_bytes(b"best" * 999)
    folder = Checkpoints(runs / RUN, {"code": "one"}, lambda text: None)
    folder.take(1)
    folder.try_out({"state": b"x" * 999})
    for step in (1, 2, 3):
        folder.write(step, {"state": b"x" * 999}, Artifact("best", f"{RUN}/{best.name}", "ab", 1))
    folder._put_best_back(folder.folder / "step-000000003")
    folder.leave()


def spool(runs: Path) -> None:
    """Opened, appended to, emptied, and removed."""
    written = Spool(spool_path(runs, HEADER.claim), HEADER)
    for _ in range(3):
        written.append(POINTS)
        written.sync()
    written.empty()
    written.append(POINTS)
    written.remove()


def kept(cache: Path) -> None:
    """A table of features, under its lock."""
    cache.mkdir(exist_ok=True)
    path = cache / f"{KEY}{ENDING}"
    with locked(path):
        table = FeatureTable(Features.of(torch.zeros(99, 4)), torch.arange(99))
        write_table(path, table, {"dataset": {"split": "train"}})


def killed(write: Writer, folder: Path, at: int = 0, size: int = 0) -> bool:
    """Whether a process that writes was killed: before a call, or where a file is too large."""
    child = os.fork()
    if not child:
        try:
            if size:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            _count(at)
            write(folder)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _count(at: int) -> None:
    """Have this process killed before the call of this number."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:  # Any: as the call's
        def stepped(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **more)

        return stepped

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def deaths(write: Writer, folder: Path) -> Iterator[Path]:
    """A folder for each way to be killed in a writer: before each of its calls, and in a write."""
    number = 1
    while killed(write, folder / str(number), at=number):
        yield folder / str(number)
        number += 1
    assert number > 3, "it makes more calls than that"
    if killed(write, folder / "in a write", size=200):
        yield folder / "in a write"


def files(folder: Path) -> set[str]:
    """Every file and every empty folder below."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


WHOLE = {"best.safetensors", "zero_shot-0123456789ab.safetensors"}


@pytest.mark.parametrize("write", [weights, checkpoint, spool])
def test_a_claim_clears_what_a_killed_process_left_of_its_run(
    write: Writer, tmp_path: Path
) -> None:
    cleared = set[str]()
    for runs in deaths(write, tmp_path):
        before = files(runs)
        clear_leftovers(runs / RUN, 2)
        after = files(runs)
        assert [name for name in after if not is_final(runs, Path(name))] == []
        cleared |= before - after
    assert cleared


def is_final(runs: Path, path: Path) -> bool:
    """Whether a file has the name that a whole one gets."""
    if path.parts[0] == "spool":
        return len(path.parts) == 1 or (runs / path).stat().st_size > 0
    if path.parts[1:2] == (PARTS,):
        return path.suffix != ".partial"
    if path.parts[1:2] == (CHECKPOINTS,):
        return len(path.parts) == 2 or path.parts[2].startswith("step-")
    return len(path.parts) == 1 or path.name in WHOLE


def test_what_is_whole_stays(tmp_path: Path) -> None:
    weights(tmp_path)
    checkpoint(tmp_path)
    Spool(spool_path(tmp_path, HEADER.claim), HEADER).append(POINTS)
    before = files(tmp_path)
    clear_leftovers(tmp_path / RUN, 2)
    assert files(tmp_path) == before
    clear_leftovers(tmp_path / "no such run", 2)


def test_another_runs_files_are_left_alone(tmp_path: Path) -> None:
    other = RUN[::-1]
    for path in (f"{other}/.best.safetensors.ab.partial", f"spool/{other}-1-w.bin"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    before = files(tmp_path)
    clear_leftovers(tmp_path / RUN, 2)
    assert files(tmp_path) == before


def test_weights_of_a_claim_that_was_not_sure_of_its_run_go(tmp_path: Path) -> None:
    for name in ("best", "best-3", "final-12", "best-123456789012"):
        save_weights(tmp_path / RUN / f"{name}.safetensors", {"a": torch.zeros(1)})
    clear_leftovers(tmp_path / RUN, 2)
    scores = "best-123456789012.safetensors"  # of an evaluation that is called best
    assert files(tmp_path / RUN) == {"best.safetensors", scores}


def test_folders_in_that_of_a_run_are_known_by_their_names() -> None:
    assert (checkpoints.FOLDER, score.PARTS_FOLDER) == (CHECKPOINTS, PARTS)


def test_using_the_cache_clears_what_a_killed_process_left_there(tmp_path: Path) -> None:
    for cache in deaths(kept, tmp_path):
        cache.mkdir(exist_ok=True)
        clear_abandoned(cache)
        assert files(cache) <= {f"{KEY}{ENDING}"}


def test_what_a_living_process_makes_in_the_cache_is_left_alone(tmp_path: Path) -> None:
    names = [f".{KEY}.lock", f".{KEY}{ENDING}.ab.partial", f".{KEY}{ENDING}.ab.folder"]
    with locked(tmp_path / f"{KEY}{ENDING}"):
        for name in names[1:]:
            (tmp_path / name).touch()
        clear_abandoned(tmp_path)
        assert files(tmp_path) == set(names)
    clear_abandoned(tmp_path)
    assert files(tmp_path) == set()


def scratch(folder: Path) -> None:
    """A folder for temporary files, with one in it; the process then ends without a word."""
    made = Scratch()
    (made.path / "block").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(folder))
        yield


def test_a_new_scratch_folder_clears_those_of_killed_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _temporary(tmp_path, monkeypatch):
        assert killed(scratch, tmp_path)
        (left,) = tmp_path.iterdir()
        first = Scratch()
        assert not left.exists()
        second = Scratch()
        assert first.path.is_dir()
        for one in (first, second):
            one.close()
    assert files(tmp_path) == set()
