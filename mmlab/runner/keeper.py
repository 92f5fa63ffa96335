"""When a training writes a checkpoint: whenever one is due, and before it stops at a signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mmlab.records import Artifact
from mmlab.runner.checkpoints import Checkpoints
from mmlab.train.state import TrainingState, pack, pack_together, unpack

#: What asks a training to stop: a person, schedulers, a terminal that closes.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
#: Seconds that the disk would have taken for what is tried without waiting for it, at a guess.
WAITING = 0.005
#: After the last step, if the time since the newest is so many times its cost, and so long.
LAST, LAST_SECONDS = 10, 10.0
#: "auto": training takes so many times what a checkpoint costs.
AUTO = 100
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Keeper:
    """Writes a checkpoint of a training whenever one is due; called before every step.

    `every` is `train.checkpoint_every`. `hold` comes before each: it makes sure of the lease, and
    that all points until then are stored. `best` gives the best weights, if there are some.

    In a group every process has one. The main one decides when, and alone has `checkpoints`; when
    one is asked to stop, all do so after the same step.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        state: TrainingState,
        every: int | str,
        hold: Callable[[], object] = lambda: None,
        best: Callable[[], Artifact | None] = lambda: None,
    ) -> None:
        self.checkpoints = checkpoints
        self.state = state
        self.group = state.group
        self.every = every
        self.hold = hold
        self.best = best
        self._begun = time.monotonic()
        self._cost = 0.0
        self._last: int | None = None
        self._asked_by: int | None = None
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._process = os.getpid()

    @contextmanager
    def finishing_steps(self) -> Iterator[None]:
        """Let signals that end the process wait for the end of the step and a checkpoint.

        A second one does not wait. What handled them before is called then, or KeyboardInterrupt
        raised. Workers that load samples are forked meanwhile, and go on until the step is finished
        too.
        """
        if threading.current_thread() is threading.main_thread():  # others get no signals
            self._handlers = {number: x for number in SIGNALS if (x := self._handler(number))}
        own = {number: signal.signal(number, self._ask_to_stop) for number in self._handlers}
        try:
            yield
        finally:
            for number, handler in own.items():
                signal.signal(number, handler)
        (is_asked,) = self.group.any(self._asked_by is not None)  # in the last step
        if is_asked:
            self._stop()

    def _handler(self, number: int) -> Callable[[int, FrameType | None], object] | None:
        """What is to be done at a signal, if not nothing; those who follow are never killed."""
        handler = signal.getsignal(number)
        if callable(handler):
            return handler
        is_killed = handler is signal.SIG_DFL and not self.group.is_main
        return signal.default_int_handler if is_killed else None

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        is_worker = os.getpid() != self._process
        if is_worker and number == signal.SIGINT:  # a terminal sends it to all processes at once
            return
        if is_worker:
            raise KeyboardInterrupt
        if self._asked_by is not None:
            self._handlers[number](number, frame)
        self._asked_by = number

    def _stop(self) -> None:
        """Do what was put off."""
        if self._asked_by is not None:
            self._handlers[self._asked_by](self._asked_by, None)
        raise KeyboardInterrupt

    def try_out(self) -> None:
        """Save the state in memory, load it back, and write it to the disk and remove it again.

        Raises RunError for what could not be saved, before any step is lost by that.
        """
        began = time.monotonic()
        states = self.state.state_dict()
        files = pack_together(states, self.group)
        self.state.load_state_dict(unpack(files or pack(states)))
        del states
        self._on_main(lambda checkpoints: checkpoints.try_out(files))
        self._wrote(began - WAITING)

    def __call__(self, step: int) -> None:
        """Write a checkpoint after so many steps, if it is due."""
        if self._last is None:  # where training begins, or goes on from
            self._last = step
        is_due, is_asked = self.group.any(self._is_due(step), self._asked_by is not None)
        if step > self._last and (is_asked or is_due):
            self.write(step)
        if is_asked:
            self._stop()

    def end(self, step: int) -> None:
        """Write a checkpoint after the last step, if those since the newest took long.

        The evaluations that follow may take long too, and would cost these steps again.
        """
        seconds = time.monotonic() - self._begun
        is_long = seconds >= max(LAST_SECONDS, LAST * self._cost)
        (is_due,) = self.group.any(is_long and self.checkpoints is not None)
        if is_due:
            self.write(step)

    def write(self, step: int) -> None:
        """Write a checkpoint after so many steps. RunError("nan") if one of them was not finite."""
        began = time.monotonic()
        self.state.require_finite()
        files = pack_together(self.state.state_dict(), self.group)
        self._on_main(lambda checkpoints: checkpoints.write(step, files, self.best()))
        self._last = step
        self._wrote(began)

    def _on_main(self, write: Callable[[Checkpoints], None]) -> None:
        """Have the main process write, and wait for it: all stop where it cannot."""
        if self.checkpoints is not None:
            try:
                self.hold()
                write(self.checkpoints)
            except BaseException:
                self.group.stop()
                raise
        self.group.barrier()

    def _is_due(self, step: int) -> bool:
        """Whether it is, as the main process says."""
        if self.checkpoints is None:
            return False
        if isinstance(self.every, int):
            return step % self.every == 0
        return time.monotonic() - self._begun >= self._seconds

    @property
    def _seconds(self) -> float:
        if self.every == "auto":
            return AUTO * self._cost
        return int(str(self.every)[:-1]) * _SECONDS[str(self.every)[-1]]

    def _wrote(self, began: float) -> None:
        self._begun = time.monotonic()
        self._cost = self._begun - began
