"""How processes that execute cells die, in words: exit codes, signals, silence."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from mmlab.errors import explain
from mmlab.runner.coordinator import Died


def death_by(status: int) -> Died:
    """Why a child is gone, from the status that waitpid gives."""
    how, why = _how(os.waitstatus_to_exitcode(status))
    message = explain(
        "the process that executed this cell",
        "it died",
        found=f"{how}: {why}",
        allowed="components that return or raise",
        next_step="run it again with --in-process under a debugger, or python -X faulthandler",
    )
    return Died(how, message)


def _how(code: int) -> tuple[str, str]:
    """By which exit code or signal a process ended, and what that means."""
    if code >= 0:
        return f"exit code {code}", "a component ended the process (os._exit, say)"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    why = _REASONS.get(-code, "a component, a library or somebody sent it")
    return f"signal {-code} ({name})", why


_REASONS: Mapping[int, str] = {
    signal.SIGKILL: "killed from outside; the system does that where memory is short",
    signal.SIGSEGV: "a library read memory that is not its own",
    signal.SIGABRT: "a library gave up (abort)",
    signal.SIGBUS: "a file that was mapped is shorter by now, or shared memory is full",
    signal.SIGILL: "a library was built for another processor",
    signal.SIGFPE: "a library divided whole numbers by zero",
}


def timed_out(seconds: float) -> str:
    """Why a process that was silent for so long was ended."""
    return explain(
        "the process that executed this cell",
        "it showed no progress and was ended",
        found=f"nothing heard of it for {seconds:g} s",
        allowed=f"cells that say something every {seconds:g} s (--cell-timeout)",
        next_step="allow more time, or look for what hangs with --in-process",
    )


#: How a cell died that a component stopped as a person would, by Ctrl-C or a signal.
INTERRUPTED = "interrupted from within"


def interrupted_within() -> str:
    """Why a process that a component interrupted was replaced."""
    return explain(
        "the process that executed this cell",
        "it was stopped, and nobody has asked for that",
        found=f"{INTERRUPTED}: a component raised KeyboardInterrupt, or sent a signal",
        allowed="components that return or raise errors of their own",
        next_step="run it again with --in-process under a debugger; to stop, signal mmlab itself",
    )


def died_preparing(death: Died) -> str:
    """Why specs could not be read."""
    return explain(
        "the process that reads the specs",
        "it died",
        found=death.signature,
        allowed="components that can be imported and described",
        next_step="run mmlab validate on each spec, or this command with --in-process",
    )


def no_template(code: int | None) -> str:
    """Why no child can be forked any more; `code` is that of the template, if it is known."""
    was_killed = code is not None and code < 0
    return explain(
        "the process from which those that execute cells are forked",
        "it is gone",
        found="it ended without a word" if code is None else ": ".join(_how(code)),
        allowed="a process that imports torch and the plugins"
        + ("" if was_killed else " (what it printed stands above)"),
        next_step="run the same again"
        if was_killed
        else "run mmlab plugins list, or this command with --in-process",
    )
