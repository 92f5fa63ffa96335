"""Whether a video file is as long as it says: FFmpeg reads what is left where it was cut short."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from mmlab.plugin import open_file
from mmlab_datasets.content import HEAD_BYTES, name_format

#: The boxes that hold an MP4's pictures and say where they are; others may be garbage at its end.
_BOXES = (b"moov", b"mdat", b"moof")
_SEGMENT = b"\x18\x53\x80\x67"


def check_whole(file: Path) -> None:
    """Raise ValueError for an MP4, MOV, AVI, Matroska or WebM that is cut short. Raises OSError.

    Files of other formats do not say how long they are, nor do those that were written to a pipe.
    """
    with open_file(file) as content:
        kind = name_format(content.read(HEAD_BYTES))
        end = _ENDS[kind](content) if kind in _ENDS else 0
        size = os.fstat(content.fileno()).st_size
    if end > size:
        raise ValueError(f"the file is cut short: {size:,} of {end:,} bytes")


def _end_of_mp4(content: BinaryIO) -> int:
    """Where the last box ends."""
    place = last = 0
    while True:
        content.seek(place)
        header = content.read(16)
        if len(header) < 8:
            return last
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:])
        if length < 8:  # 0: as far as the file goes
            return last
        place += length
        last = place if kind in _BOXES else last


def _end_of_avi(content: BinaryIO) -> int:
    """Where the last list ends, of one RIFF or several; what follows the lists is an index."""
    place = last = 0
    while True:
        content.seek(place)
        header = content.read(8)
        kind, length = header[:4], int.from_bytes(header[4:], "little")
        if kind == b"RIFF":
            place += 12
            continue
        if kind not in (b"LIST", b"JUNK", b"idx1") or not length:
            return last
        place += 8 + length + length % 2
        last = last if kind == b"idx1" else place - length % 2


def _end_of_matroska(content: BinaryIO) -> int:
    """Where the segment ends, 0 where that is not known: EBML's header, then the one segment."""
    content.seek(4)
    length = _read_size(content)
    content.seek(length, os.SEEK_CUR)
    if content.read(4) != _SEGMENT:
        return 0
    length = _read_size(content)
    return content.tell() + length if length else 0


def _read_size(content: BinaryIO) -> int:
    """EBML's number: zeros before its first bit count the bytes that follow. 0 where unknown."""
    first = int.from_bytes(content.read(1))
    following = 8 - first.bit_length()
    bits = 7 * (following + 1)
    value = first << 8 * following | int.from_bytes(content.read(following)) if first else 0
    value &= (1 << bits) - 1
    return 0 if value == (1 << bits) - 1 else value


_ENDS: Mapping[str | None, Callable[[BinaryIO], int]] = {
    "MP4": _end_of_mp4,
    "QuickTime": _end_of_mp4,
    "AVI": _end_of_avi,
    "Matroska or WebM": _end_of_matroska,
}
