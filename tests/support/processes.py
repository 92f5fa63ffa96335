"""Two processes in one group, as torchrun would start them, and what became of each."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from support.lab import child_environment


@dataclass
class Ended:
    """How a process ended: its exit code, what it printed, and after how many seconds."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def start(
    arguments: Sequence[Sequence[str | Path]], folder: Path, **variables: str
) -> list[subprocess.Popen[str]]:
    """One Python process for each list of arguments; they are the ranks of one group."""
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, *map(str, given)],
            cwd=folder,
            env={
                **child_environment(),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(len(arguments)),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, given in enumerate(arguments)
    ]


def wait(processes: Sequence[subprocess.Popen[str]], seconds: float = 60) -> list[Ended]:
    """Wait for all; none is left running, even where one takes too long."""
    started = time.monotonic()
    try:
        return [_end(process, started, seconds) for process in processes]
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()


def _end(process: subprocess.Popen[str], started: float, seconds: float) -> Ended:
    stdout, stderr = process.communicate(timeout=seconds)
    return Ended(process.returncode, stdout, stderr, time.monotonic() - started)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
