"""A signal while a command still imports: it ends in words, with its code; nothing has begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: The command in a process that gets a signal where it looks for a module.
COMMAND = """
import os, sys

class Signalled:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Signalled())
sys.argv = {argv!r}
from mmlab.__main__ import main
main()
"""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGHUP: 75, signal.SIGUSR1: 75}
RUN = ("mmlab", "run", "no.toml")
WORK = ("mmlab", "work", "--db", "no.db")


def stopped(
    folder: Path, number: int, module: str, *argv: str, ignored: int | None = None
) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(module=module, number=int(number), argv=list(argv))
    if ignored is not None:
        code = f"import signal; signal.signal({int(ignored)}, signal.SIG_IGN)\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("number", "module", "argv"),
    [
        *((number, "mmlab.cli", RUN) for number in CODES),
        (signal.SIGTERM, "click", WORK),
        (signal.SIGINT, "mmlab.cli.work", WORK),
        (signal.SIGTERM, "sqlalchemy", RUN),
        (signal.SIGINT, "sqlalchemy", WORK),
    ],
)
def test_whatever_is_imported_the_command_ends_with_the_code_of_the_signal(
    number: signal.Signals, module: str, argv: tuple[str, ...], tmp_path: Path
) -> None:
    done = stopped(tmp_path, number, module, *argv)
    assert done.returncode == CODES[number], done.stderr
    assert "Traceback" not in done.stderr
    said = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """nohup lets a command go on when its terminal closes."""
    done = stopped(tmp_path, signal.SIGHUP, "click", *WORK, ignored=signal.SIGHUP)
    assert done.returncode == 5  # there is no such database


def test_a_command_that_executes_nothing_dies_of_the_signal(tmp_path: Path) -> None:
    done = stopped(tmp_path, signal.SIGTERM, "sqlalchemy", "mmlab", "ls", "--db", "no.db")
    assert done.returncode == -signal.SIGTERM


def test_ctrl_c_ends_that_in_words_too(tmp_path: Path) -> None:
    done = stopped(tmp_path, signal.SIGINT, "sqlalchemy", "mmlab", "ls", "--db", "no.db")
    assert (done.returncode, done.stderr) == (130, "interrupted; finished runs are kept\n")


def test_the_installed_command_hears_signals_first() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert 'mmlab = "mmlab.__main__:main"' in project.read_text(encoding="utf-8")
