"""How often a file is opened, told by the kernel (inotify): whoever opens it, in any language."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CLOSED_UNWRITTEN, _OPENED = 0x10, 0x20


class Opens:
    """`count` is there when the block has ended."""

    count = -1


@contextmanager
def counted_opens(path: Path) -> Iterator[Opens]:
    """How often this file is opened inside; skips the test where the kernel cannot tell."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells who opens a file")
    system, opens = ctypes.CDLL(None, use_errno=True), Opens()
    handle = system.inotify_init1(os.O_NONBLOCK)
    # Closings too: the kernel makes one of equal events that follow each other.
    watched = system.inotify_add_watch(handle, os.fsencode(path), _OPENED | _CLOSED_UNWRITTEN)
    assert handle >= 0, os.strerror(ctypes.get_errno())
    assert watched >= 0, os.strerror(ctypes.get_errno())
    try:
        yield opens
        opens.count = _count(handle)
    finally:
        os.close(handle)


def _count(handle: int) -> int:
    """The openings among the events that wait."""
    try:
        waiting = os.read(handle, 1 << 20)
    except BlockingIOError:
        return 0
    size = struct.calcsize("iIII")  # no names: a file is watched, not a folder
    masks = [struct.unpack_from("iIII", waiting, at)[1] for at in range(0, len(waiting), size)]
    return sum(bool(mask & _OPENED) for mask in masks)
