"""Verbs that read files of others in a child process: a crash in a library is told, and costs that.

A library in another language may end its process over a damaged file (abort, segfault). Cells of
`mmlab run` have children of their own, see `mmlab.runner.child`.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import wraps
from types import FrameType
from typing import Any, NoReturn, cast

import click

from mmlab.cli.output import CommandFunction
from mmlab.errors import DataError, explain

#: What the parent hands on to the child, which has a process group of its own.
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def shielded(command: CommandFunction) -> CommandFunction:
    """Let a verb do its work in a fork of its process, before anything heavy is imported.

    Only where the process is a command's own: a fork of one that has computed may hang.
    """

    @wraps(command)
    def verb(*args: Any, **options: Any) -> object:  # Any: as the verb has them
        context = click.get_current_context()
        if context.find_root().obj is not None:  # which `mmlab.__main__` gives
            _fork(context)
        return command(*args, **options)

    return cast("CommandFunction", verb)


def _fork(context: click.Context) -> None:
    """Return in a child process; in the parent end as that ends, or with DataError: a crash."""
    from mmlab.runner.stopping import die_with

    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)  # until somebody handles them
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        die_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
        return

    def forward(number: int, frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in _FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if -code in _FORWARDED:
        _die_of(-code)
    if code < 0:
        raise DataError(_crashed(context.command_path, -code))
    context.exit(code)


def _die_of(number: int) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _crashed(command: str, number: int) -> str:
    was_killed = number == signal.SIGKILL
    return explain(
        command,
        "the process that read the files has crashed; nothing was stored",
        found=f"signal {number} ({signal.Signals(number).name})"
        + ("" if was_killed else "; what it printed stands above"),
        allowed="memory for the files" if was_killed else "whole files, and components that end",
        next_step="free some memory, or read less at once"
        if was_killed
        else "check the files that it was given, or that its spec names: a damaged Parquet file "
        "may end a process so",
    )
