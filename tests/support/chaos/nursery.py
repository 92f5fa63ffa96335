"""A process that has imported the workers' modules and forks workers, each within milliseconds.

It opens no database itself, so that a fork of it is as good as a new process.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from mmlab.runner.stopping import die_with

#: How often it looks whether a worker has ended.
_LOOK_SECONDS = 0.02


class Nursery:
    """The other end of it. `body` is what a worker does; it is given the worker's number."""

    def __init__(self, body: Callable[[int], None]) -> None:
        self._ended: dict[int, int] = {}
        ours, theirs = Pipe()
        parent = os.getpid()
        self.number = os.fork()
        if not self.number:
            ours.close()
            die_with(parent)
            _serve(theirs, body)
            os._exit(0)
        theirs.close()
        self._pipe = ours

    def fork(self, worker: int) -> int:
        """A new worker; its process id."""
        self._pipe.send(worker)
        while True:
            kind, number, status = self._pipe.recv()
            if kind == "forked":
                return int(number)
            self._ended[number] = status

    def ended(self) -> dict[int, int]:
        """Workers that have ended since this was asked last, and their exit codes."""
        while self._pipe.poll():
            _, number, status = self._pipe.recv()
            self._ended[number] = status
        ended, self._ended = self._ended, {}
        return ended

    def close(self) -> None:
        """End it. No worker is left by then."""
        self._pipe.close()
        os.waitpid(self.number, 0)


def _serve(pipe: Connection, body: Callable[[int], None]) -> None:
    living: set[int] = set()
    with suppress(EOFError, OSError):
        while True:
            if pipe.poll(_LOOK_SECONDS):
                living.add(number := _fork(pipe, body, pipe.recv()))
                pipe.send(("forked", number, 0))
            for number in sorted(living):
                found, status = os.waitpid(number, os.WNOHANG)
                if found:
                    living.discard(number)
                    pipe.send(("ended", number, os.waitstatus_to_exitcode(status)))
    for number in living:
        os.kill(number, signal.SIGKILL)


def _fork(pipe: Connection, body: Callable[[int], None], worker: int) -> int:
    parent = os.getpid()
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        pipe.close()
        die_with(parent)
        body(worker)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
