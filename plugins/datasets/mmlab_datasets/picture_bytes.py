"""What the bytes of a JPEG, PNG or WebP file say before it is decoded: whole, 8 bits, one picture.

Pillow reads 16 bits a channel as 8, gives the first frame of an animation, and takes a PNG without
its end: all in silence. What is refused here is never decoded.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

#: A marker that begins a segment of a JPEG or ends it; restarts within the data of a scan do not.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_PNG_SIGNATURE = 8
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Adam7, the order of an interlaced PNG: first column and row of each pass, and its steps.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE_BYTES = 1 << 20


def check_jpeg(content: bytes) -> None:
    """Raise ValueError for a JPEG that ends before its end marker, or of more than 8 bits."""
    place = 2
    while found := _MARKER.search(content, place):
        place, marker = found.end(), content[found.end() - 1]
        if marker == _END_OF_IMAGE:
            return
        if marker == _START_OF_IMAGE:
            break
        if marker in _FRAME_HEADERS and content[place + 2 : place + 3] not in (b"\x08", b""):
            raise ValueError(f"{content[place + 2]} bits a channel")
        place += int.from_bytes(content[place : place + 2])
    raise ValueError("the file is cut short: the mark of a JPEG's end is missing")


def check_png(content: bytes) -> None:
    """Raise ValueError for a PNG that is damaged, cut short, animated or of 16 bits a channel."""
    frames, is_before_pixels = 1, True
    for number, (kind, data) in enumerate(_png_chunks(content)):
        if number == 0 and (kind != b"IHDR" or len(data) != 13):
            raise ValueError(f"its first chunk is {kind!r}, no header of a PNG")
        is_before_pixels = is_before_pixels and kind != b"IDAT"
        if kind == b"acTL" and is_before_pixels:
            frames = int.from_bytes(data[:4])
    width, height, depth, _, _ = _png_header(content)
    if depth > 8:
        raise ValueError(f"{depth} bits a channel")
    if not width * height:
        raise ValueError(f"{width} x {height} pixels")
    _check_frames(frames)


def check_webp(content: bytes) -> None:
    """Raise ValueError for a WebP that is cut short, or an animation."""
    size = 8 + int.from_bytes(content[4:8], "little")
    if size > len(content):
        raise ValueError(f"the file is cut short: {len(content):,} of {size:,} bytes")
    frames, place = 0, 12
    while place + 8 <= size:
        frames += content[place : place + 4] == b"ANMF"
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    _check_frames(max(frames, 1))


def check_png_rows(content: bytes) -> None:
    """Raise ValueError where a PNG holds fewer rows than its header says; decoders leave them 0."""
    wanted = _png_bytes(content)
    unpack, found = zlib.decompressobj(), 0
    for kind, data in _png_chunks(content):
        rest = bytes(data) if kind == b"IDAT" else b""
        while rest and found < wanted:
            found += len(unpack.decompress(rest, _PIECE_BYTES))
            rest = unpack.unconsumed_tail
    if found < wanted:
        raise ValueError(f"pixels are missing: {found:,} of {wanted:,} bytes")


def grey_levels(content: bytes) -> int:
    """How many greys a PNG's pixels tell apart; 256 where it is none of grey.

    Pillow stretches 4 or 16 greys over 0 to 255, but not the one that counts as transparent.
    """
    _, _, depth, colour, _ = _png_header(content)
    return 1 << depth if colour == 0 else 256


def _check_frames(frames: int) -> None:
    if frames != 1:
        raise ValueError(f"an animation of {frames:,} frames, of which none is the picture")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and data of each chunk to the last. Raises ValueError for damage, a missing end."""
    view, place, kind = memoryview(content), _PNG_SIGNATURE, b""
    while kind != b"IEND":
        length = int.from_bytes(view[place : place + 4])
        kind, end = bytes(view[place + 4 : place + 8]), place + 8 + length
        if end + 4 > len(content):
            raise ValueError("the file is cut short: the end of a PNG, IEND, is missing")
        is_needed = kind[:1].isupper() or kind == b"tRNS"
        if is_needed and zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ValueError(f"the file is damaged: the checksum of its chunk {kind!r} is wrong")
        yield kind, view[place + 8 : end]
        place = end + 4


def _png_header(content: bytes) -> tuple[int, int, int, int, bool]:
    """Width, height, bits a channel, type of colour, and whether the rows are interlaced."""
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    return width, height, content[24], content[25], bool(content[28])


def _png_bytes(content: bytes) -> int:
    """Bytes that the pixels take before they are compressed, with one for each row's filter."""
    width, height, depth, colour, is_interlaced = _png_header(content)
    passes = _PASSES if is_interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        row_bytes = -(-columns * depth * _PNG_CHANNELS.get(colour, 1) // 8)
        total += max(rows, 0) * (1 + row_bytes) if columns > 0 else 0
    return total
