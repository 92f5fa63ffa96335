"""What torchrun tells a process in its environment: how many there are, and which one this is."""

from __future__ import annotations

import os

from mmlab.errors import UsageError, explain


def world_size() -> int:
    """How many processes train together; 1 without torchrun.

    Raises UsageError as `_number`, and where variables are missing without which no group is made.
    """
    size = _number("WORLD_SIZE", 1, least=1)
    if size > 1:
        for variable in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            if not os.environ.get(variable):
                raise _refused(variable, "nothing", "a value, as torchrun sets it")
        _number("MASTER_PORT", 0, least=0)
        if rank() >= size:
            raise _refused("RANK", str(rank()), f"0 to {size - 1}, as WORLD_SIZE is {size}")
    return size


def rank() -> int:
    """Which of all processes this is, 0 the main one. Raises UsageError as `_number`."""
    return _number("RANK", 0, least=0)


def local_rank() -> int:
    """Which of this machine's processes this is: torchrun numbers them, one an accelerator.

    Raises UsageError as `_number`.
    """
    return _number("LOCAL_RANK", 0, least=0)


def _number(variable: str, default: int, *, least: int) -> int:
    """A variable that torchrun sets; UsageError where somebody has set it to something else."""
    given = os.environ.get(variable, str(default))
    if given.strip().isdecimal() and int(given) >= least:
        return int(given)
    raise _refused(variable, repr(given[:100]), f"a whole number from {least}")


def _refused(variable: str, found: str, allowed: str) -> UsageError:
    return UsageError(
        explain(
            variable,
            "this variable of the environment tells a process of torchrun its group",
            found=found,
            allowed=allowed,
            next_step="start with torchrun, or unset WORLD_SIZE, RANK and LOCAL_RANK",
        )
    )
