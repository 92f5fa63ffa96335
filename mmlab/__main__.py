"""The command `mmlab`, which `python -m mmlab` is too: it hears signals before it imports anything.

Until a verb handles them itself nothing has begun, so the process ends at once, in words and with
the exit code that it would have later.
"""

from __future__ import annotations

import os
import signal

#: Ctrl-C, and what schedulers, terminals that close and `kill` send.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_INTERRUPTED, _STOPPED = 130, 75


def main() -> None:
    """Act on the command line of this process."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, say
            signal.signal(number, _end)
    from mmlab.cli import main as verbs

    verbs(prog_name="mmlab", obj=_end)


def _end(number: int, frame: object) -> None:
    """End without an exception, which importing might swallow, or print with a traceback."""
    is_ctrl_c = number == signal.SIGINT
    said = (
        "interrupted; finished runs are kept"
        if is_ctrl_c
        else f"error: stopped by {signal.Signals(number).name}: the same command goes on"
    )
    try:
        os.write(2, f"{said}\n".encode())
    finally:  # also where nobody is there to read it
        os._exit(_INTERRUPTED if is_ctrl_c else _STOPPED)


if __name__ == "__main__":
    main()
