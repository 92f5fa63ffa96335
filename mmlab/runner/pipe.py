"""Calls of methods over a pipe (RPC): an object in one process, asked by another.

A message is MessagePack of a word, a method's name and its arguments, by the annotations of a
protocol class that both sides have. Methods that give nothing and may not fail are not waited for.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, get_type_hints

import msgspec

import mmlab.errors
from mmlab.errors import MmlabError, RunError, explain, message_of, storable
from mmlab.files import is_disk_full, said_of
from mmlab.runner.wire import pack, unpack
from mmlab.store import DatabaseReplaced, LeaseLost

#: Words of messages.
CALL, TELL, GAVE, RAISED = "call", "tell", "gave", "raised"
#: Methods that are not waited for.
TELLS = ("note", "progress")
_ERRORS: Mapping[str, type[MmlabError]] = {
    **{
        name: found
        for name, found in vars(mmlab.errors).items()
        if inspect.isclass(found) and issubclass(found, MmlabError)
    },
    "DatabaseReplaced": DatabaseReplaced,
    "LeaseLost": LeaseLost,
}


class Message(msgspec.Struct, array_like=True):
    """What passes: `name` is that of a method or an error."""

    word: str
    name: str = ""
    values: list[msgspec.Raw] = []


class Pipe:
    """One end of a connection between two processes, which belongs to this process alone."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_busy = False
        self._is_interrupted = False
        self._owner = os.getpid()

    def send(self, word: str, name: str = "", *values: object) -> None:
        """Send a message. Raises OSError where nobody listens."""
        if os.getpid() != self._owner:
            os._exit(1)  # a copy that a component forked and let return: there is one of us
        raw = [msgspec.Raw(pack(value)) for value in values]
        self.connection.send_bytes(pack(Message(word, name, raw)))

    def receive(self) -> Message:
        """Wait for the next message. Raises EOFError at the end."""
        if os.getpid() != self._owner:
            os._exit(1)
        message: Message = unpack(Message, self.connection.recv_bytes())
        return message

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let `interrupt` wait for the end of the block, which raises KeyboardInterrupt then."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False
        if self._is_interrupted:
            self._is_interrupted = False
            raise KeyboardInterrupt

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, but not amid a message. A handler of signals."""
        if not self.is_busy:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def close(self) -> None:
        """Close this end."""
        self.connection.close()


class Remote:
    """Calls the methods of a protocol on the object at the other end of a pipe."""

    def __init__(self, pipe: Pipe, protocol: type) -> None:
        self._pipe = pipe
        self._protocol = protocol

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of this name."""
        method = signature(self._protocol, name)

        def call(*asked: object) -> Any:  # by the protocol's annotation
            # Names of files are no UTF-8 at times, and components say whatever they like.
            given = [storable(one) if isinstance(one, str) else one for one in asked]
            with self._pipe.undisturbed():
                if name in TELLS:
                    self._pipe.send(TELL, name, *given)
                    return None
                self._pipe.send(CALL, name, *given)
                message = self._pipe.receive()
            return result_of(message, method.gives)

        return call


class Signature:
    """The types of a method's arguments, in order, and of what it gives."""

    def __init__(self, method: Callable[..., object]) -> None:
        hints = get_type_hints(method)
        self.gives = hints.pop("return")
        names = [name for name in inspect.signature(method).parameters if name != "self"]
        self.takes = [hints[name] for name in names]


@cache
def signature(protocol: type, name: str) -> Signature:
    """The signature of a protocol's method. AttributeError where it has none of that name."""
    return Signature(getattr(protocol, name))


def answer(pipe: Pipe, protocol: type, served: object, message: Message) -> None:
    """Do what a message asks of an object, and send what it gives or raises, if that is awaited.

    An error of what is told, not asked, is raised here. OSError: nobody listens any more.
    """
    method = signature(protocol, message.name)
    values = [unpack(kind, raw) for kind, raw in zip(method.takes, message.values, strict=True)]
    try:
        result = _result(served, message.name, values)
    except MmlabError as error:
        if message.word == TELL:
            raise
        send_error(pipe, error)
    else:
        if message.word == CALL:
            pipe.send(GAVE, "", result)


def _result(served: object, name: str, values: Sequence[object]) -> object:
    """What a method gives. RunError where the system refuses it something.

    An OSError would be taken for one of the pipe, and the other end would wait for ever.
    """
    try:
        return getattr(served, name)(*values)
    except OSError as error:
        message = explain(
            said_of(error),
            "a file or folder cannot be used",
            found=type(error).__name__,
            allowed="files of results that this user may read and write, on a disk with space",
            next_step="mend what is there, or name other folders with --runs and --cache",
        )
        raise RunError(message, "disk_full" if is_disk_full(error) else "error") from error


def send_error(pipe: Pipe, error: MmlabError) -> None:
    """Send an error that mmlab raises on purpose, to be raised at the other end."""
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS]
    reason = error.reason if isinstance(error, RunError) else ""
    pipe.send(RAISED, names[0], message_of(error), reason)


def result_of(message: Message, kind: Any) -> Any:  # of any type
    """What a call gave. Raises what it raised."""
    if message.word != RAISED:
        return unpack(kind, message.values[0])
    text, reason = (unpack(str, raw) for raw in message.values)
    error = _ERRORS[message.name]
    raise error(text, reason) if issubclass(error, RunError) else error(text)
