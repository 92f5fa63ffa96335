"""The template of child processes: it has imported torch and the plugins, and forks.

    python -P -m mmlab.runner.template FD PARENT

It computes nothing and touches no GPU, so that a fork of it is as good as a new process and takes
milliseconds, not the seconds of the imports. For each child it receives one end of a pipe over the
socket FD; it says the child's number there, and later with which status it ended. A child executes
cells, one after the other, as `mmlab.runner.child` tells it. All die with the process PARENT.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from types import FrameType
from typing import NoReturn

from mmlab.runner.child import LENGTH, SAYS, STARTED
from mmlab.runner.stopping import die_with


def main(arguments: Sequence[str]) -> None:
    """Import, then fork whenever asked, until the socket is closed."""
    parent = int(arguments[1])
    die_with(parent)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the parent decides
    with socket.socket(fileno=int(arguments[0])) as control:
        serve = _imports(control)
        Template(control, serve).run()


def _imports(control: socket.socket) -> Callable[[Connection], None]:
    """Import all that cells need; gives what a child does."""
    (length,) = LENGTH.unpack(control.recv(LENGTH.size, socket.MSG_WAITALL))
    sys.path[:] = os.fsdecode(control.recv(length, socket.MSG_WAITALL)).split("\0")
    from mmlab.plan.registry import BUILTINS, Registry
    from mmlab.runner.serve import serve

    Registry.discover(BUILTINS)
    return serve


class Template:
    """Forks children, and says when they end."""

    def __init__(self, control: socket.socket, serve: Callable[[Connection], None]) -> None:
        self.control = control
        self.serve = serve
        self.children: set[int] = set()
        self.woken, self._wake = os.pipe()
        for end in (self.woken, self._wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._wake)

    def run(self) -> None:
        """Serve the socket until it is closed; then kill what is left."""
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.woken], [], [])
            if self.woken in ready:
                os.read(self.woken, 4096)
                self._reap()
            if self.control.fileno() in ready and not self._fork():
                break
        for child in self.children:
            _kill_group(child)

    def _fork(self) -> bool:
        """A new child at the pipe that comes with the request; False at the end."""
        request, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
        if not request:
            return False
        (descriptor,) = descriptors
        parent = os.getpid()
        child = os.fork()
        if not child:
            self._become(descriptor, parent)
        os.close(descriptor)
        self.children.add(child)
        return self._say(child, STARTED)

    def _become(self, descriptor: int, parent: int) -> NoReturn:
        status = 1
        try:
            os.setsid()
            die_with(parent)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for own in (self.woken, self._wake):
                os.close(own)
            self.control.close()
            self.serve(Connection(descriptor))
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        """Say which children have ended; what they started, such as workers, ends with them."""
        for child in list(self.children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self.children.discard(child)
                _kill_group(child)
                self._say(child, status)

    def _say(self, child: int, status: int) -> bool:
        """Say what became of a child; False where nobody listens any more: it is the end."""
        try:
            self.control.sendall(SAYS.pack(child, status))
        except OSError:
            return False
        return True


def _kill_group(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler is needed for the wake-up."""


if __name__ == "__main__":
    main(sys.argv[1:])
