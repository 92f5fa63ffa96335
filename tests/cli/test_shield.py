"""A file that ends the process of a library ends its command in words, and stores nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from support.specs import SPEC

DATASET = """\
use = "parquet"
train = "train.parquet"
text_columns = ["text"]
label_column = "label"
"""


def damaged(path: Path, rows: int = 40) -> None:
    """A file whose first page says that it has fewer than no values: polars aborts."""
    content = path.read_bytes()
    count = bytes([0x2C, 0x15, 2 * rows])  # num_values of a page's header, as a zigzag integer
    assert content.count(count) > 0
    path.write_bytes(content.replace(count, bytes([0x2C, 0x15, 2 * rows + 1]), 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {"text": [f"text {i}" for i in range(40)], "label": ["a", "b"] * 20}
    pl.DataFrame(texts).write_parquet(tmp_path / "train.parquet", compression="uncompressed")
    damaged(tmp_path / "train.parquet")
    (tmp_path / "spec.toml").write_text(SPEC.replace('use = "emoji"\n', DATASET))
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mmlab", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_the_library_does_end_its_process(folder: Path) -> None:
    """Else the tests below would show nothing."""
    code = "import polars; polars.read_parquet('train.parquet')"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True)
    assert done.returncode == -signal.SIGABRT


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("inspect", "spec.toml"), ("pack", "spec.toml", "out")])
def test_a_damaged_dataset_is_told(folder: Path, arguments: tuple[str, ...]) -> None:
    with start(folder, *arguments) as process:
        out, said = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, "")
    assert f"mmlab {arguments[0]}: the process that read the files has crashed" in said
    assert "found: signal 6 (SIGABRT)" in said
    assert "Traceback" not in said
    assert not list(folder.glob("out/*.tar"))


@pytest.mark.slow
def test_damaged_predictions_are_told_and_nothing_is_stored(folder: Path) -> None:
    scores = {"sample": [f"s{i}" for i in range(40)], "a": [0.5] * 40, "b": [0.5] * 40}
    path = folder / "scores.parquet"
    pl.DataFrame(scores).write_parquet(path, compression="uncompressed")
    damaged(path)
    (folder / "spec.toml").write_text(SPEC)
    given = ("scores.parquet", "--dataset", "spec.toml", "--name", "theirs")
    with start(folder, "import", "predictions", *given) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "mmlab import predictions: the process that read the files has crashed" in said
    assert not list(folder.glob("*.db*"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_signals_reach_the_child_and_its_end_is_the_commands(
    folder: Path, number: int, code: int
) -> None:
    (folder / "spec.toml").write_text(SPEC)
    with start(folder, "inspect", "spec.toml") as process:
        child = _child_of(process.pid)
        while process.poll() is None:  # what imports at that moment may swallow Ctrl-C
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        said = process.communicate()[1]
    assert process.returncode == code
    assert "Traceback" not in said
    assert not Path(f"/proc/{child}").exists()


def _child_of(pid: int) -> int:
    """The first child of a process, as soon as it has one."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.005)
    raise AssertionError("it has no child")
