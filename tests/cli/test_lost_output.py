"""Output that nobody takes - a closed pipe, no stream at all, a full disk - ends nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.lab import child_environment

from mmlab.cli.init import FIRST_SPEC
from mmlab.store import open_store
from mmlab.store.migrate import upgrade

FULL = Path("/dev/full")
#: A process that endures lost output and then does what follows.
ENDURING = "import os, sys\nfrom mmlab.cli.output import endure_lost_output\nendure_lost_output()\n"


@contextmanager
def closed_pipe() -> Iterator[int]:
    """Where to write so that nobody reads it, as after `| head` has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def python(
    *arguments: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=child_environment(),
        stdout=stdout,
        stderr=stderr,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMLAB_DB", raising=False)


def first_run() -> tuple[str, ...]:
    """The arguments of a short run of the spec that `mmlab init` writes."""
    Path("first.toml").write_text(FIRST_SPEC)
    return ("-m", "mmlab", "run", "first.toml", "--device", "cpu", "--set", "train.max_steps=2")


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_it() -> None:
    with closed_pipe() as lost:
        done = python(*first_run(), stdout=lost, stderr=lost)
    assert done.returncode == 0
    with open_store("mmlab.db") as store:
        assert list(store.run_statuses().values()) == ["done"]


@pytest.mark.slow
@pytest.mark.skipif(not FULL.is_char_device(), reason="no device that is always full")
def test_a_run_goes_on_when_the_disk_of_its_output_is_full() -> None:
    with FULL.open("w") as lost:
        done = python(*first_run(), stdout=lost.fileno(), stderr=lost.fileno())
    assert done.returncode == 1  # what it printed is lost, which a closed pipe wanted
    with open_store("mmlab.db") as store:
        assert list(store.run_statuses().values()) == ["done"]


@pytest.mark.parametrize("arguments", [("ls",), ("report",), ("--help",)])
def test_a_command_whose_reader_is_gone_ends_quietly(arguments: tuple[str, ...]) -> None:
    upgrade("mmlab.db")
    with closed_pipe() as lost:
        done = python("-m", "mmlab", *arguments, stdout=lost)
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_keeps_its_exit_status_when_nobody_reads_it() -> None:
    with closed_pipe() as lost:
        done = python("-m", "mmlab", "ls", "--db", "missing.db", stdout=lost, stderr=lost)
    assert done.returncode == 5


def test_more_than_a_pipe_holds_is_taken_from_this_process_and_those_it_forks() -> None:
    program = ENDURING + (
        "child = os.fork()\n"
        "for _ in range(3):\n"
        "    print('x' * 100_000)\n"
        "    print('x' * 100_000, file=sys.stderr, flush=True)\n"
        "if child:\n"
        "    sys.exit(os.waitpid(child, 0)[1] and 7)\n"
    )
    with closed_pipe() as lost:
        assert python("-c", program, stdout=lost, stderr=lost).returncode == 0
        assert python("-u", "-c", program, stdout=lost, stderr=lost).returncode == 0
    done = python("-c", program)
    assert done.returncode == 0
    assert (len(done.stdout), len(done.stderr)) == (600_006, 600_006)


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything() -> None:
    program = ENDURING + "print('x' * 1_000_000)\n"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=writer, env=child_environment()
    ) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert len(pipe.read()) == 1_000_001
        assert process.wait() == 0


def test_a_file_is_not_taken_for_a_stream_that_is_missing(tmp_path: Path) -> None:
    program = (
        "import os\nfor number in (0, 1, 2): os.close(number)\n"
        f"import sys\nsys.stdout = sys.__stdout__ = None\n{ENDURING}"
        "file = open('results', 'w')\n"
        "os.write(1, b'noise'); os.write(2, b'noise'); print('noise', flush=True)\n"
        "file.write(str(file.fileno() > 2))\n"
    )
    assert python("-c", program).returncode == 0
    assert (tmp_path / "results").read_text() == "True"
