"""Paths at which nothing can be read, each for its own reason; folders that may not be entered."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.lab import child_environment

#: Name of an odd path -> what is said of it.
ODD = {
    "long": "File name too long",
    "loop": "Too many levels of symbolic links",
    "pipe": "a pipe",
    "socket": "a socket",
    "device": "a device",
}


def odd_path(folder: Path, name: str) -> Path:
    """Make the odd path of this name, or name it; it ends in .csv where it can."""
    path = folder / f"{name}.csv"
    if name == "long":
        return folder / ("n" * 300 + ".csv")
    if name == "device":
        return Path("/dev/zero")
    if name == "loop":
        path.symlink_to(path)
    elif name == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as bound, inside(folder):
            bound.bind(path.name)  # whose whole path would be too long
    assert not stat.S_ISREG(os.lstat(path).st_mode)
    return path


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """This folder as the working one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


_DROP_FROM_BOUNDS, _OVERRIDE, _READ_SEARCH = 24, 1, 2  # of prctl and capabilities


def _drop() -> None:
    """Let permissions bind this process, and those after it, though its user be root."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_OVERRIDE, _READ_SEARCH):
            assert libc.prctl(_DROP_FROM_BOUNDS, capability, 0, 0, 0) == 0, ctypes.get_errno()


def bound_by_permissions(
    arguments: Sequence[str | Path], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments; a folder of mode 0 is closed to it, whoever its user is."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=child_environment(),
        capture_output=True,
        text=True,
        preexec_fn=_drop,
        timeout=120,
        check=False,
    )
