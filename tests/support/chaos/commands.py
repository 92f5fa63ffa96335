"""Commands of mmlab that train for real in child processes, whoever kills them or what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.lab import Lab, child_environment

#: By this every process that a group of commands has started is known, whoever its parent is.
MARK = "MMLAB_STORM"


@dataclass(frozen=True)
class Process:
    """A living process, its parent, and whether it has the template's command line."""

    number: int
    parent: int
    is_template: bool


def marked(mark: str) -> list[Process]:
    """The living processes of a group, but not this one."""
    found, wanted = [], f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = wanted in (folder / "environ").read_bytes().split(b"\0")
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if is_ours and state != "Z" and int(folder.name) != os.getpid():
                is_template = b"mmlab.runner.template" in (folder / "cmdline").read_bytes()
                found.append(Process(int(folder.name), int(parent), is_template))
    return found


@dataclass
class Commands:
    """Commands on one database, in processes of their own."""

    lab: Lab
    mark: str
    lease: float = 2.0
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """`run` or `work` and its arguments; what it says is added to a file."""
        words = [sys.executable, "-m", "mmlab", *map(str, arguments), "--db", self.lab.db]
        more = ["--device", "cpu", "--lease", str(self.lease), "--max-attempts", "1000"]
        with (self.lab.folder / "said").open("ab") as said:
            process = subprocess.Popen(
                [*words, *more],
                env={**child_environment(), "MMLAB_IN_PROCESS": "0", MARK: self.mark},
                stdout=said,
                stderr=said,
            )
        self.started.append(process)
        return process

    @property
    def said(self) -> str:
        """What all of them have said."""
        return (self.lab.folder / "said").read_text()

    def living(self) -> list[subprocess.Popen[bytes]]:
        """The commands that have not ended."""
        return [one for one in self.started if one.poll() is None]

    def templates(self) -> list[Process]:
        """The processes from which children are forked."""
        living = marked(self.mark)
        parents = {one.number for one in living if not one.is_template}
        return [one for one in living if one.is_template and one.parent in parents]

    def children(self) -> list[Process]:
        """Those that execute cells."""
        templates = {one.number for one in self.templates()}
        return [one for one in marked(self.mark) if one.parent in templates]

    def end(self) -> None:
        """Kill what lives."""
        for process in self.started:
            process.kill()
            process.wait()
        for one in marked(self.mark):
            with suppress(ProcessLookupError):
                os.kill(one.number, signal.SIGKILL)


@contextmanager
def commands(lab: Lab, mark: str) -> Iterator[Commands]:
    """A group of commands, of which nothing is left afterwards."""
    group = Commands(lab, mark)
    try:
        yield group
    finally:
        group.end()


def wait_until(is_so: Callable[[], object], seconds: float) -> bool:
    """Wait for something that other processes do, but not for ever; whether it is so."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
