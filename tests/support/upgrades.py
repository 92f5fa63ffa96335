"""Upgrades in processes of their own: several at once, or killed at a chosen step.

`Upgrades` starts this module as a process that has imported all it needs, and forks for each try.
A step is a statement that a database is sent, the programs's own `BEGIN`, `COMMIT` and `PRAGMA`
among them, or a file put on the disk or in its place.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, event

from mmlab.errors import MmlabError
from mmlab.store.migrate import upgrade


@dataclass
class Ended:
    """How a process ended: its signal or 0, what it says it did, and the steps it took.

    Each step is its first word: CREATE, COMMIT, fsync, ...
    """

    signal: int
    before: str | None = None
    after: str | None = None
    backup: str | None = None
    steps: Sequence[str] = ()
    error: str | None = None


class Upgrades:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over a process that `upgrading` has started."""
        self._process = process

    def run(self, url: str, *, processes: int = 1, kill_at: int = 0) -> list[Ended]:
        """Upgrade in so many processes at once, each killed before its step `kill_at`."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([url, processes, kill_at]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the process that forks has ended"
        return [Ended(**one) for one in json.loads(answer)]


@contextmanager
def upgrading() -> Iterator[Upgrades]:
    """The process that forks, for as long as the block lasts."""
    folder = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Upgrades(process)
        finally:
            assert process.stdin
            process.stdin.close()


def main() -> None:
    """Answer each line of stdin, a JSON list, by a line of stdout."""
    for line in sys.stdin:
        url, processes, kill_at = json.loads(line)
        print(json.dumps(_fork(url, processes, kill_at)), flush=True)


def _fork(url: str, processes: int, kill_at: int) -> list[dict[str, Any]]:  # Any: JSON
    start_read, start_write = os.pipe()
    children = []
    for _ in range(processes):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(start_write)
            os.read(start_read, 1)  # all start when the last one has been forked
            _upgrade(url, kill_at, os.fdopen(write, "w"))
        os.close(write)
        children.append((child, os.fdopen(read)))
    os.close(start_read)
    os.close(start_write)
    return [_wait(child, told) for child, told in children]


def _wait(child: int, told: IO[str]) -> dict[str, Any]:  # Any: JSON
    with told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"signal": number, **(json.loads(said) if said else {})}


def _upgrade(url: str, kill_at: int, told: IO[str]) -> None:
    """The child's whole life."""
    taken = list[str]()

    def step(words: str) -> None:
        taken.append(words.split()[0])
        if len(taken) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        _listen(step)
        done = upgrade(url)
        backup = str(done.backup) if done.backup else None
        said: dict[str, object] = {"before": done.before, "after": done.after, "backup": backup}
    except MmlabError as error:
        said = {"error": str(error)}
    except BaseException as error:
        said = {"error": repr(error)}
    print(json.dumps({**said, "steps": taken}), file=told, flush=True)
    os._exit(0)


def _listen(step: Callable[[str], None]) -> None:
    """Have `step` called before each step from now on."""

    @event.listens_for(Engine, "connect")
    def connected(connection: Any, record: object) -> None:  # Any: a driver's connection
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(step)

    @event.listens_for(Engine, "before_cursor_execute")
    def executes(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if connection.dialect.name != "sqlite":
            step(statement)

    @event.listens_for(Engine, "commit")
    def commits(connection: Connection) -> None:
        if connection.dialect.name != "sqlite":
            step("COMMIT")

    event.listen(Engine, "checkin", lambda *_: step("checkin"))
    for name in ("fsync", "replace"):
        setattr(os, name, _after(step, name, getattr(os, name)))


def _after(
    step: Callable[[str], None], name: str, function: Callable[..., Any]
) -> Callable[..., Any]:
    def stepped(*arguments: Any, **more: Any) -> Any:  # Any: whatever the function takes
        step(name)
        return function(*arguments, **more)

    return stepped


if __name__ == "__main__":
    main()
