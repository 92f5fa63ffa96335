"""Signals that stop a command: the first lets the present step end, the second ends at once.

Handlers only note what was asked and pass it on, so that no transaction is left half done.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from mmlab.errors import StoppedError

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
#: A person sends the first; schedulers, terminals that close and `kill` send the others.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Stop:
    """Whether this process was asked to stop, and by which signal. Use it in a `with`.

    `gently` is called at the first signal, `at_once` at the second; neither at more.
    """

    def __init__(self, gently: Callable[[], None], at_once: Callable[[], None]) -> None:
        self.gently = gently
        self.at_once = at_once
        self.number: int | None = None
        self.is_urgent = False
        self._is_asked = threading.Event()
        self._before: dict[int, object] = {}

    @property
    def is_asked(self) -> bool:
        """Whether it was."""
        return self.number is not None

    def ask(self, number: int = signal.SIGINT) -> None:
        """Stop as if by this signal."""
        self.number = self.number or number
        self._is_asked.set()

    def raise_if_asked(self, rest: str, note: Callable[[str], None]) -> None:
        """Raise KeyboardInterrupt after Ctrl-C, StoppedError after another signal; nothing if none.

        `rest` says what is left, and how that goes on; after Ctrl-C it is a note.
        """
        if self.number is None:
            return
        if self.number == signal.SIGINT:
            note(f"stopped{rest}")
            raise KeyboardInterrupt
        raise StoppedError(f"stopped by {signal.Signals(self.number).name}{rest}")

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it is asked."""
        self._is_asked.wait(seconds)

    def __enter__(self) -> Self:
        """Handle the signals; in other threads than the main one there are none."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup, say
                    self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *error: object) -> None:
        """Put back what handled them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal gave

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self.is_asked:
            self.ask(number)
            self.gently()
        elif not self.is_urgent:
            self.is_urgent = True
            self.at_once()


@contextmanager
def raised_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C, StoppedError at other signals: there is no step to finish.

    Without it the process would die of them, with an exit code that means no going on.
    """
    before = dict[int, object]()
    if threading.current_thread() is threading.main_thread():
        for number in map(int, _SIGNALS):
            if signal.getsignal(number) != signal.SIG_IGN:  # as above
                before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as above


def _raise(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise StoppedError(f"stopped by {signal.Signals(number).name}: the same command goes on")


def die_with(parent: int) -> None:
    """Let this process be killed when its parent dies, which Linux can do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(1)
