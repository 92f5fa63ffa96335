"""WAV files without a library: PCM of 8 to 32 bits, float, A-law, mu-law, WAVE_FORMAT_EXTENSIBLE.

By the specification of Microsoft and IBM (1991), its extension of 2001 and RF64 (EBU Tech 3306).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
#: A length that the writer could not know, or that only RF64's chunk ds64 has room for.
_UNKNOWN = 0xFFFFFFFF
#: What follows the codec's number where a sound's format is a GUID.
_GUID_END = (0, 16, b"\x80\x00\x00\xaa\x00\x38\x9b\x71")


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the chunk `fmt ` says: the codec's number, channels, rate in Hz, bits of a value."""

    codec: int
    channels: int
    rate: int
    frame_bytes: int
    bits: int

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return -(-self.bits // 8)


@dataclass(frozen=True, slots=True)
class Wav:
    """A WAV file: how its sound is written, and the bytes that hold it."""

    format: WavFormat
    order: Literal["<", ">"]
    data: memoryview

    @property
    def frames(self) -> int:
        """Values of one channel; an incomplete one at the end does not count."""
        return len(self.data) // max(1, self.format.frame_bytes)

    @property
    def is_plain(self) -> bool:
        """Whether `values` reads it: no compression beyond A-law and mu-law."""
        return (self.format.codec, self.format.width) in _READERS

    def values(self) -> Values:
        """float32 (channels, time); whole numbers are divided so that their range is [-1, 1)."""
        count = self.frames * self.format.channels
        read = _READERS[self.format.codec, self.format.width]
        values = read(self.data[: count * self.format.width], self.order)
        return values.reshape(self.frames, self.format.channels).T


def parse_wav(content: bytes) -> Wav:
    """Find the format and the data of a RIFF, RIFX, RF64 or BW64 file.

    Raises ValueError where they are missing, contradict themselves, or the data are cut short.
    """
    order: Literal["<", ">"] = ">" if content[:4] == b"RIFX" else "<"
    view, place, long_size, found = memoryview(content), 12, _UNKNOWN, None
    while place + 8 <= len(content):
        name, size = struct.unpack_from(f"{order}4sI", content, place)
        start = place + 8
        if name == b"ds64" and size >= 16:
            (long_size,) = struct.unpack_from("<Q", content, start + 8)
        elif name == b"fmt ":
            found = _parse_format(content[start : start + size], order)
        elif name == b"data" and found is None:
            raise ValueError("its format (the chunk fmt) does not come before its data")
        elif name == b"data" and found is not None:
            return Wav(found, order, _data(view[start:], long_size if size == _UNKNOWN else size))
        place = start + size
        # Chunks of odd size are padded; some writers forget it, and no name begins with a zero.
        place += size % 2 and content[place : place + 1] == b"\0"
    raise ValueError("the file is cut short: there is no chunk of data")


def _data(rest: memoryview, size: int) -> memoryview:
    if size == _UNKNOWN:  # written to a pipe: all that is there
        return rest
    if size > len(rest):
        raise ValueError(f"the file is cut short: {len(rest):,} of {size:,} bytes of sound")
    return rest[:size]


def _parse_format(chunk: bytes, order: str) -> WavFormat:
    if len(chunk) < 16:
        raise ValueError(f"its format (the chunk fmt) has {len(chunk)} bytes, not 16 or more")
    codec, channels, rate, _, frame_bytes, bits = struct.unpack_from(f"{order}HHIIHH", chunk)
    if codec == _EXTENSIBLE:
        codec = _sub_format(chunk, order)
    found = WavFormat(codec, channels, rate, frame_bytes, bits)
    if codec in (_PCM, _FLOAT, _A_LAW, _MU_LAW) and frame_bytes != channels * found.width:
        raise ValueError(
            f"its header contradicts itself: frames of {frame_bytes} bytes for {channels} "
            f"channels of {bits} bits"
        )
    return found


def _sub_format(chunk: bytes, order: str) -> int:
    """The codec of a WAVE_FORMAT_EXTENSIBLE."""
    if len(chunk) < 40:
        raise ValueError(f"WAVE_FORMAT_EXTENSIBLE in {len(chunk)} bytes, not 40")
    codec, *end = struct.unpack_from(f"{order}IHH8s", chunk, 24)
    if tuple(end) != _GUID_END:
        raise ValueError(f"a format of its own, the GUID {chunk[24:40].hex()}")
    return int(codec)


def _whole(kind: str, scale: int) -> Callable[[memoryview, str], Values]:
    def read(data: memoryview, order: str) -> Values:
        return np.frombuffer(data, f"{order}{kind}").astype(np.float32) / np.float32(scale)

    return read


def _bytes(data: memoryview, order: str) -> Values:
    """8 bits are written without a sign: 128 is silence."""
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)


def _three_bytes(data: memoryview, order: str) -> Values:
    """24 bits become the upper ones of 32."""
    parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
    padded = np.zeros((len(parts), 4), np.uint8)
    padded[:, 1:] = parts if order == "<" else parts[:, ::-1]
    return padded.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)


def _floats(kind: str) -> Callable[[memoryview, str], Values]:
    def read(data: memoryview, order: str) -> Values:
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return np.frombuffer(data, f"{order}{kind}").astype(np.float32)

    return read


def _mu_law(data: memoryview, order: str) -> Values:
    """G.711: a sign, an exponent and four bits, all inverted; 33 is added before the logarithm."""
    code = ~np.arange(256) & 0xFF
    size = ((((code & 15) << 3) + 132) << (code >> 4 & 7)) - 132
    return _looked_up(data, np.where(code & 128, -size, size))


def _a_law(data: memoryview, order: str) -> Values:
    """G.711: a sign, an exponent and four bits, every second of them inverted."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 7, ((code & 15) << 4) + 8
    size = np.where(exponent == 0, mantissa, (mantissa + 256) << np.maximum(exponent - 1, 0))
    return _looked_up(data, np.where(code & 128, size, -size))


def _looked_up(data: memoryview, table: npt.NDArray[np.int64]) -> Values:
    found: Values = table.astype(np.float32)[np.frombuffer(data, np.uint8)] / np.float32(32768)
    return found


_READERS: Mapping[tuple[int, int], Callable[[memoryview, str], Values]] = {
    (_PCM, 1): _bytes,
    (_PCM, 2): _whole("i2", 1 << 15),
    (_PCM, 3): _three_bytes,
    (_PCM, 4): _whole("i4", 1 << 31),
    (_FLOAT, 4): _floats("f4"),
    (_FLOAT, 8): _floats("f8"),
    (_A_LAW, 1): _a_law,
    (_MU_LAW, 1): _mu_law,
}
