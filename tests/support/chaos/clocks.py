"""Clocks of machines that are days off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

DAY = 86_400
_NS = 10**9
_LOCAL = ("gmtime", "localtime")


def put_off(seconds: int) -> dict[str, object]:
    """Let this process believe that it is so much later; what `time` had before."""
    plain = {name: getattr(time, name) for name in ("time", "time_ns", *_LOCAL)}
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + seconds * _NS
    for name in _LOCAL:
        setattr(time, name, lambda given=None, read=plain[name]: read(given or time.time()))
    return plain


@contextmanager
def clock_that_is_off(days: int) -> Iterator[None]:
    """The same for the block."""
    plain = put_off(days * DAY)
    try:
        yield
    finally:
        vars(time).update(plain)
