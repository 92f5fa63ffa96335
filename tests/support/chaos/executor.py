"""Executes cells without torch: everything about a cell is real but its training and evaluation."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from mmlab.errors import RunError
from mmlab.files import sync
from mmlab.hashing import digest
from mmlab.records import Artifact, Progress
from mmlab.runner.coordinator import (
    Coordinator,
    Ended,
    ExecutionOptions,
    Notes,
    Outcome,
    Prepared,
)
from mmlab.spec import Override
from mmlab.store import Claim, LeaseLost, QueuedCell
from support.chaos.cells import (
    CHECKPOINT_EVERY,
    CURVES,
    EVALUATION,
    STEPS,
    identity_of,
    points_of,
    results_of,
)


class TorchFree:
    """An executor whose steps are naps of `nap_seconds`, without a seed exactly. See `Executor`.

    `at_work` is told when it begins a cell, and when that has ended.
    """

    def __init__(
        self,
        nap_seconds: float = 0.0,
        seed: int | None = None,
        at_work: Callable[[bool], object] = bool,
    ) -> None:
        self.nap_seconds = nap_seconds
        self.at_work = at_work
        self.is_asked = False
        self._random = None if seed is None else random.Random(seed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def prepare(
        self, specs: Sequence[Path], overrides: Sequence[Override], notes: Notes
    ) -> Prepared:
        raise NotImplementedError("its cells are in the queue already")

    def begin(self, options: ExecutionOptions) -> None:
        self.runs = Path(options.runs)

    def ask_to_stop(self) -> None:
        self.is_asked = True

    def kill(self) -> None:
        os._exit(1)

    def execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        self.at_work(True)
        try:
            return self._execute(queued, coordinator)
        finally:
            self.at_work(False)

    def _execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        row = coordinator.submit(identity_of(queued.cell))
        if row.status == "done":
            return Ended("skipped", row.run_id)
        self._nap()
        wanted = {EVALUATION: digest([EVALUATION, row.train_hash])}
        claim = coordinator.claim(row.run_id, {"kit": True}, wanted, CURVES)
        if claim is None:
            status = coordinator.run_detail(row.run_id).run.status
            return Ended("skipped" if status == "done" else "held", row.run_id)
        try:
            return self._train(queued.cell.seed, claim, coordinator)
        except LeaseLost as error:
            return Ended("failed", row.run_id, str(error))
        except RunError as error:
            if error.reason not in ("lost", "cancelled"):
                raise
            with suppress(LeaseLost):  # as the execution of real cells tries to say it failed
                coordinator.fail(error.reason, str(error), "")
            return Ended("failed", row.run_id, str(error))

    def _train(self, seed: int, claim: Claim, coordinator: Coordinator) -> Ended:
        coordinator.hold()
        saved = SavedStep(self.runs / claim.run_id, claim.fence)
        first = saved.open()
        coordinator.rewind(first)
        for step in range(first + 1, STEPS + 1):
            self._nap()
            if self.is_asked:
                coordinator.release()
                return Ended("interrupted", claim.run_id)
            points = points_of(seed, step, claim.fence)
            coordinator.progress(Progress(step, STEPS, 0.0, 1.0, 0.0, points))
            if step % CHECKPOINT_EVERY == 0:
                coordinator.hold()
                saved.keep(step)
        self._nap()
        coordinator.hold()
        content = str(seed).encode()
        (self.runs / claim.run_id / "best").write_bytes(content)
        path, found = f"{claim.run_id}/best", hashlib.sha256(content).hexdigest()
        artifact = Artifact("best", path, found, len(content))
        coordinator.finish(results_of(seed), [artifact], {"seconds": 1.0}, STEPS, ())
        return Ended("done", claim.run_id)

    def _nap(self) -> None:
        if self.nap_seconds:
            draw = self._random.uniform(0, 2) if self._random else 1.0
            time.sleep(draw * self.nap_seconds)


class Silent:
    """A display that nobody watches; its notes are printed."""

    def note(self, text: str) -> None:
        print(text, flush=True)

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        pass


class SavedStep:
    """The checkpoint of a run: how many steps are done.

    Each attempt has a folder of its own, which the next one takes over by renaming it: one that
    was frozen meanwhile can write nothing that anybody reads.
    """

    def __init__(self, run: Path, fence: int) -> None:
        self.run = run
        self.folder = run / f"attempt-{fence:06}"

    def open(self) -> int:
        """The step from which to go on."""
        self.run.mkdir(parents=True, exist_ok=True)
        with _unless_taken():
            earlier = sorted(self.run.glob("attempt-*"))
            if earlier:
                earlier[-1].rename(self.folder)
            else:
                self.folder.mkdir()
            file = self.folder / "step"
            return int(file.read_text()) if file.exists() else 0

    def keep(self, step: int) -> None:
        """Keep a step."""
        part = self.folder / "step.part"
        with _unless_taken():
            part.write_text(str(step))
            sync(part)
            part.replace(self.folder / "step")
            sync(self.folder)


@contextmanager
def _unless_taken() -> Iterator[None]:
    """An attempt that was frozen and comes back finds its folder gone."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError("the run is another attempt's", "lost") from error
