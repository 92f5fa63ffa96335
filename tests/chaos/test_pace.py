"""Workers do not wait for each other: two take little more than half as long as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.checkout import TESTS
from support.postgres_server import create_database, drop_database

from mmlab.store.migrate import upgrade

#: A machine that is busy with other things may disturb one measurement.
TRIES = 3


def seconds(url: str, folder: Path, workers: int) -> float:
    """Of so many workers for eight cells that sleep for most of a second each."""
    done = subprocess.run(
        [sys.executable, "-m", "support.chaos.pace", url, str(folder), f"--workers={workers}"],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])


def fresh(kind: str, request: pytest.FixtureRequest, folder: Path, name: str) -> str:
    """A new database."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / name}.db"
    else:
        server = request.getfixturevalue("postgres_server")
        made = create_database(server, f"pace_{os.getpid()}_{name}")
        request.addfinalizer(lambda: drop_database(server, made.database))
        url = make_url(made).render_as_string(hide_password=False)
    upgrade(url)
    return url


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_workers_are_nearly_twice_as_fast_as_one(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ratios = []
    for turn in range(TRIES):
        one, two = (
            seconds(fresh(kind, request, tmp_path, name), tmp_path / f"runs-{name}", workers)
            for workers, name in ((1, f"one{turn}"), (2, f"two{turn}"))
        )
        ratios.append(one / two)
        if ratios[-1] >= 1.9:
            return
    pytest.fail(f"one worker takes {ratios} times as long as two")
