"""What a child process does: it executes the cells that come over its pipe.

Its only way to the database is the coordinator at the other end.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from mmlab.runner.cell_runner import CellRunner
from mmlab.runner.coordinator import (
    ChildRequests,
    Coordinator,
    Ended,
    ExecutionOptions,
    Prepared,
)
from mmlab.runner.pipe import Pipe, Remote, answer
from mmlab.spec import Override
from mmlab.store import QueuedCell


def serve(connection: Connection) -> None:
    """Do what is asked, until the other end is closed."""
    pipe = Pipe(connection)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, pipe.interrupt)
    child = _Child(cast(Coordinator, Remote(pipe, Coordinator)))
    while True:
        try:
            with pipe.undisturbed():
                message = pipe.receive()
            answer(pipe, ChildRequests, child, message)
        except (EOFError, OSError):  # the parent has closed its end
            return
        except KeyboardInterrupt:  # there was nothing to stop
            continue


class _Child:
    """Answers requests with a `CellRunner`."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    def start(self, device: str) -> None:
        self.runner = CellRunner(device)

    def prepare(self, specs: Sequence[str], overrides: Sequence[Sequence[str]]) -> Prepared:
        return self.runner.prepare(
            [Path(spec) for spec in specs],
            [_override(*given) for given in overrides],
            self.coordinator,
        )

    def begin(self, options: ExecutionOptions) -> None:
        self.runner.begin(options)

    def execute(self, queued: QueuedCell) -> Ended:
        return self.runner.execute(queued, self.coordinator)

    def read_questions(self, run_ids: Sequence[str], files: Sequence[str]) -> None:
        from mmlab.runner.questions import Questions  # of which no cell knows

        paths = [Path(file) for file in files]
        self.questions = Questions(self.runner, run_ids, paths, self.coordinator)

    def ask(self, run_id: str) -> Ended:
        return self.questions.ask(run_id, self.coordinator)


def _override(kind: str, text: str) -> Override:
    return Path(text) if kind == "file" else text
