"""What torchrun tells a process in its environment: how many there are, and which one this is."""

from __future__ import annotations

import os

from mmlab.errors import UsageError, explain


def world_size() -> int:
    """How many processes train together; 1 without torchrun. Raises UsageError as `_number`."""
    return _number("WORLD_SIZE", 1, least=1)


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
    raise UsageError(
        explain(
            variable,
            "this variable of the environment says which process of torchrun this is",
            found=repr(given[:100]),
            allowed=f"a whole number from {least}, as torchrun sets it",
            next_step=f"unset {variable}, or start with torchrun",
        )
    )
