"""Calls over a pipe: whatever is raised at one end is said at the other; nobody waits for ever."""

from __future__ import annotations

import errno
from multiprocessing import Pipe as make_pipe
from typing import Protocol

import pytest

from mmlab.errors import RunError, UsageError
from mmlab.runner.pipe import CALL, TELL, Message, Pipe, answer, result_of


class Asked(Protocol):
    """What is asked."""

    def note(self, text: str) -> None:
        """Told, or asked."""


class Raising:
    """Raises what it was given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def note(self, text: str) -> None:
        raise self.error


def answered(error: Exception, word: str = CALL) -> Message:
    """What comes back from an object that raises this."""
    here, there = (Pipe(end) for end in make_pipe())
    here.send(word, "note", "a text")
    answer(there, Asked, Raising(error), there.receive())
    assert here.connection.poll(0), "nothing comes back, for which the other end waits"
    return here.receive()


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/runs/spool"), "error", "/runs/spool"),
        (OSError(errno.ENOSPC, "No space left on device", "/runs"), "disk_full", "No space left"),
        (OSError("a system that says little"), "error", "a system that says little"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "error", "Broken pipe"),
    ],
)
def test_what_the_system_refuses_is_an_answer(error: OSError, reason: str, said: str) -> None:
    with pytest.raises(RunError, match=said) as caught:
        result_of(answered(error), type(None))
    assert caught.value.reason == reason


def test_what_mmlab_raises_keeps_its_kind() -> None:
    with pytest.raises(UsageError, match="name another"):
        result_of(answered(UsageError("name another")), type(None))


def test_what_is_only_told_is_raised_where_it_was_heard() -> None:
    with pytest.raises(RunError, match="No space left"):
        answered(OSError(errno.ENOSPC, "No space left on device"), TELL)
