"""Memory that was lacking: how it is recognised, and how much of it was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmlab.errors import RunError, explain

#: What torch says, in words alone, where the CPU's memory or an integer for its size is too small.
_LACKING = ("can't allocate memory", "Storage size calculation overflowed")
_BYTES = re.compile(r"tried to allocate (\d+) bytes", re.IGNORECASE)
_SIZE = re.compile(r"tried to allocate [\d.]+ [KMGT]iB", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was lacking."""
    is_said = isinstance(error, RuntimeError) and any(text in str(error) for text in _LACKING)
    return is_said or isinstance(error, torch.OutOfMemoryError | MemoryError)


def describe_request(error: BaseException) -> str:
    """What was asked for, without the allocator's own words.

    >>> describe_request(RuntimeError("can't allocate memory: you tried to allocate 1600 bytes."))
    'tried to allocate 1,600 bytes'
    """
    said = str(error)
    if found := _BYTES.search(said):
        return f"tried to allocate {int(found[1]):,} bytes"
    if found := _SIZE.search(said):
        return f"tried to allocate {found[0].split(' ', 3)[3]}"
    if "overflowed" in said:
        return "tried to allocate more bytes than 64 bits count"
    return said.strip().partition("\n")[0] or type(error).__name__


@contextmanager
def making(place: str, what: str) -> Iterator[None]:
    """Raises RunError, "oom", at this place of a spec where memory is lacking for `what`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(_not_held(place, what, describe_request(error)), "oom") from error


def _not_held(place: str, what: str, found: str) -> str:
    return explain(
        place,
        f"the memory does not hold {what}",
        found=found,
        allowed="what fits; mmlab never makes anything smaller by itself",
        next_step="set smaller widths or sizes there, or use a machine with more memory",
    )
