"""Records as bytes and back (serialization): between processes, and in files that outlive them.

A record is a dataclass of plain values and NumPy arrays, written as MessagePack by its annotations:
unlike a pickle, what is read runs no code. A frame is a record with its length and checksum in
front, so that a file that was cut off within one says so.
"""

from __future__ import annotations

import struct
import typing
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

import msgspec
import numpy as np

#: Length and CRC-32 of what follows, little endian.
_HEAD = struct.Struct("<II")
#: How many bytes stand in front of what a frame holds.
FRAME = _HEAD.size


def pack(record: object) -> bytes:
    """A record as MessagePack. TypeError where a value is neither plain nor an array."""
    return _encoder().encode(record)


def unpack(kind: Any, content: bytes | memoryview) -> Any:  # of any type, generic ones too
    """The record of this type. msgspec.ValidationError where the bytes are of another."""
    return _decoder(kind).decode(content)


def frame(content: bytes) -> bytes:
    """Bytes with their length and checksum in front."""
    return _HEAD.pack(len(content), zlib.crc32(content)) + content


def read_frames(file: BinaryIO) -> Iterator[bytes]:
    """What the frames of a file hold, up to the first that is cut off or damaged."""
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        content = file.read(length)
        if len(content) < length or zlib.crc32(content) != checksum:
            return
        yield content


@cache
def _encoder() -> msgspec.msgpack.Encoder:
    return msgspec.msgpack.Encoder(enc_hook=_to_plain)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind, dec_hook=_from_plain)


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is neither a plain value nor an array")


def _from_plain(kind: Any, value: Any) -> object:
    if (typing.get_origin(kind) or kind) is np.ndarray:
        dtype, shape, content = value
        return np.frombuffer(content, dtype=dtype).reshape(shape).copy()
    if kind is object:
        return value
    raise TypeError(f"records hold no {kind}")
