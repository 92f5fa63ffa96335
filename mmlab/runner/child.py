"""Cells are executed in a child process, so that one that crashes costs that one cell.

The child is forked from a template that has imported torch and the plugins. It is kept from cell to
cell, and replaced when it died, when a component left it other than it was, or when it is old.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe as make_pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

from mmlab.errors import RunError
from mmlab.runner.coordinator import (
    ChildRequests,
    Coordinator,
    Died,
    Ended,
    ExecutionOptions,
    Notes,
    Prepared,
)
from mmlab.runner.deaths import (
    INTERRUPTED,
    death_by,
    died_preparing,
    interrupted_within,
    no_template,
    timed_out,
)
from mmlab.runner.pipe import CALL, GAVE, TELL, Pipe, answer, result_of, signature
from mmlab.spec import Override
from mmlab.store import QueuedCell

#: A child that is older is replaced before the next cell: what it remembers of data may be old too.
MAX_AGE_SECONDS = 1800.0
#: Variables that a child does not get: it has no database, and components need none of it.
SECRET = ("MMLAB_DB", "PGPASSWORD", "PGPASSFILE")
#: The template hears how long the parent's sys.path is, and that, joined by NUL.
LENGTH = struct.Struct("<I")
#: It says a child's number, and STARTED or the status that waitpid gives.
SAYS = struct.Struct("<qq")
STARTED = -1
#: How long a process that was killed may take to be gone.
_GONE_SECONDS = 10.0


class ChildProcess:
    """Executes cells in a child of this process. Use it in a `with`.

    `cell_timeout`: a cell that shows no progress for so many seconds is ended.
    """

    def __init__(self, device: str, cell_timeout: float | None = None) -> None:
        self.device = device
        self.cell_timeout = cell_timeout
        self._options: ExecutionOptions | None = None
        self._read_first: tuple[str, Sequence[object]] | None = None
        self._child: _Child | None = None
        self._was_asked = False
        self._template = _Template()

    def __enter__(self) -> Self:
        """Itself; the template is importing meanwhile."""
        return self

    def __exit__(self, *error: object) -> None:
        """End child and template."""
        self._retire()
        self._template.close()

    def prepare(
        self, specs: Sequence[Path], overrides: Sequence[Override], notes: Notes
    ) -> Prepared:
        """Read and check specs. Raises SpecError or PluginError with all that is wrong."""
        given = [["file", str(one)] if isinstance(one, Path) else ["set", one] for one in overrides]
        prepared: Prepared = self._read("prepare", notes, [str(spec) for spec in specs], given)
        return prepared

    def begin(self, options: ExecutionOptions) -> None:
        """Learn how cells are to be executed, before the first is."""
        self._options = options

    def read_questions(
        self, run_ids: Sequence[str], files: Sequence[Path], coordinator: Coordinator
    ) -> None:
        """Read what files ask more of finished runs. Raises SpecError or PluginError."""
        self._read("read_questions", coordinator, run_ids, [str(file) for file in files])

    def execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        """Execute a claimed cell. Raises `Died` where the child did."""
        return self._attempt("execute", coordinator, queued)

    def ask(self, run_id: str, coordinator: Coordinator) -> Ended:
        """Evaluate one of the runs that are asked more. Raises `Died` where the child did."""
        return self._attempt("ask", coordinator, run_id)

    def _read(self, name: str, served: Notes, *given: object) -> Any:  # what the request gives
        """Have a child read files, which every later one reads again before it does anything."""
        self._read_first = name, given
        try:
            child = self._ready(served, reads=False)
            return self._ask(child, name, served, *given)
        except Died as death:
            raise RunError(died_preparing(death), "died") from death

    def _attempt(self, name: str, coordinator: Coordinator, value: object) -> Ended:
        if self._child is not None and self._child.age > MAX_AGE_SECONDS:
            self._retire()
        try:
            child = self._ready(coordinator)
            ended: Ended = self._ask(child, name, coordinator, value)
            if child.left_itself or (ended.status == "interrupted" and not self._was_asked):
                raise Died(INTERRUPTED, interrupted_within())
        except Died:
            self._retire()
            raise
        except BaseException:  # it is in the middle of something
            self.kill()
            self._retire()
            raise
        if ended.left_behind:
            self._retire()
        return ended

    def ask_to_stop(self) -> None:
        """Let the present cell finish its step, write a checkpoint, and end as interrupted."""
        self._was_asked = True
        if self._child is not None:
            self._child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child at once, and all that it has started."""
        self._was_asked = True
        if self._child is not None:
            self._child.kill()

    def _ready(self, served: Notes, *, reads: bool = True) -> _Child:
        """A child that knows what this object knows."""
        if self._child is None:
            if self._template.is_gone:
                self._template.close()
                self._template = _Template()
            self._child = child = self._template.fork()
            self._ask(child, "start", served, self.device)
            if self._read_first is not None and reads:
                name, given = self._read_first
                self._ask(child, name, served, *given)
        if self._options is not None and not self._child.has_begun:
            self._ask(self._child, "begin", served, self._options)
            self._child.has_begun = True
        return self._child

    def _ask(self, child: _Child, name: str, served: Notes, *values: object) -> Any:  # by its name
        """What a child gives when it is asked; meanwhile it asks what is `served`."""
        with suppress(OSError):  # it is dead, which shows below
            child.pipe.send(CALL, name, *values)
        heard = time.monotonic()
        limit = self.cell_timeout if name in ("execute", "ask") else None
        while True:
            left = None if limit is None else max(0.0, heard + limit - time.monotonic())
            ready = wait([child.pipe.connection, self._template.control], left)
            if child.pipe.connection in ready:
                try:
                    message = child.pipe.receive()
                except (EOFError, OSError):
                    raise self._template.death_of(child) from None
                heard = time.monotonic()
                if message.word not in (CALL, TELL):
                    return result_of(message, signature(ChildRequests, name).gives)
                with suppress(OSError):  # as above
                    if message.name == "release" and not self._was_asked:
                        child.left_itself = True  # its claim is kept until that is counted
                        child.pipe.send(GAVE, "", None)
                    else:
                        answer(child.pipe, Coordinator, served, message)
            elif ready:
                raise self._template.death_of(child)
            elif limit is not None:
                child.kill()
                self._template.death_of(child)
                raise Died("timeout", timed_out(limit), "timeout")

    def _retire(self) -> None:
        """Let go of the child, which ends."""
        if self._child is not None:
            self._child.pipe.close()
            self._child.kill()
            self._template.forget(self._child)
        self._child = None


class _Child:
    """A living child, by its number and this end of its pipe."""

    def __init__(self, number: int, pipe: Pipe) -> None:
        self.number = number
        self.pipe = pipe
        self.has_begun = False
        self.left_itself = False
        self._born = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it was forked."""
        return time.monotonic() - self._born

    def signal(self, number: int) -> None:
        """Send it a signal, unless it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.number, number)

    def kill(self) -> None:
        """Kill it and all of its session: workers that load samples."""
        with suppress(ProcessLookupError):
            os.killpg(self.number, signal.SIGKILL)


class _Template:
    """The process that has imported everything and forks children."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "mmlab.runner.template"]
        environment = {key: value for key, value in os.environ.items() if key not in SECRET}
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                process_group=0,  # Ctrl-C is for the parent alone, before it is ignored here, too
            )
        paths = os.fsencode("\0".join(sys.path))
        with suppress(OSError):  # it died, which shows when it is to fork
            self.control.sendall(LENGTH.pack(len(paths)) + paths)
        self._ended: dict[int, int] = {}
        self._has_forked = False

    @property
    def is_gone(self) -> bool:
        """Whether it was killed, after it had imported all that it needs."""
        return self._has_forked and self._process.poll() is not None

    def fork(self) -> _Child:
        """A new child. Raises RunError where the template could not import; Died, if killed."""
        ours, theirs = make_pipe()
        try:
            socket.send_fds(self.control, [b"f"], [theirs.fileno()])
            while True:
                number, status = self._hear()
                if status == STARTED:
                    self._has_forked = True
                    return _Child(number, Pipe(ours))
                self._ended[number] = status
        except (EOFError, OSError) as error:
            if self._has_forked:
                raise self._own_death() from error
            raise RunError(self._own_death().message, "died") from error
        finally:
            theirs.close()

    def death_of(self, child: _Child) -> Died:
        """How a child died; waits until it has, and kills it if it takes too long."""
        while child.number not in self._ended:
            if not wait([self.control], _GONE_SECONDS):
                child.kill()
                continue
            try:
                number, status = self._hear()
            except (EOFError, OSError):
                return self._own_death()
            self._ended[number] = status
        return death_by(self._ended[child.number])

    def _own_death(self) -> Died:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GONE_SECONDS)
        return Died("template", no_template(self._process.returncode))

    def forget(self, child: _Child) -> None:
        """Wait until a child that was killed is gone."""
        self.death_of(child)
        self._ended.pop(child.number, None)

    def close(self) -> None:
        """End it; it kills what it has forked. One that is importing yet has nothing to end."""
        self.control.close()
        if not self._has_forked:
            self._process.kill()
        try:
            self._process.wait(_GONE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> tuple[int, int]:
        said = self.control.recv(SAYS.size, socket.MSG_WAITALL)
        if len(said) < SAYS.size:
            raise EOFError
        number, status = SAYS.unpack(said)
        return number, status
