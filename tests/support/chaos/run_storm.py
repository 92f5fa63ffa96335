"""A storm in a process of its own, which imports no torch, and its report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from support.checkout import TESTS
from support.postgres_server import find_binaries


@dataclass(frozen=True)
class Told:
    """What a storm has printed: its report, and what its workers said if there are faults."""

    report: dict[str, Any]
    log: str

    @property
    def faults(self) -> str:
        """Them, a line each."""
        return "\n".join(self.report["faults"])


def storm(*arguments: str, **options: object) -> Told:
    """Let a storm rage. It is killed after ten minutes."""
    given = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "support.chaos.storm", *arguments, *given],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout, done.stderr
    return Told(json.loads(done.stdout), done.stderr)


def database(kind: str, request: pytest.FixtureRequest) -> list[str]:
    """Where a storm rages: over a file, a server of its own, or else the one there is."""
    if kind == "sqlite":
        return []
    if find_binaries() is not None:
        return ["--postgres"]
    return ["--db", str(request.getfixturevalue("postgres_url"))]
