"""The encoding of a text file: byte order marks, UTF-16 and UTF-32, and bytes that are no text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmlab.plugin import DataError
from mmlab_datasets.damage import damaged


@dataclass(frozen=True)
class Encoding:
    """How bytes become text: Python's name of it, and the name that people know."""

    codec: str
    name: str


UTF_8 = Encoding("utf-8-sig", "UTF-8")  # with or without a byte order mark
#: Byte order marks; UTF-32 first, since its mark begins as that of UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, Encoding("utf-32", "UTF-32")),
    (codecs.BOM_UTF32_BE, Encoding("utf-32", "UTF-32")),
    (codecs.BOM_UTF16_LE, Encoding("utf-16", "UTF-16")),
    (codecs.BOM_UTF16_BE, Encoding("utf-16", "UTF-16")),
)
#: Which of the first four bytes are zero, where a file without a mark begins with two ASCII
#: characters: the names of columns, or a brace and a quote.
_ZEROS: Mapping[tuple[bool, ...], Encoding] = {
    (False, True, False, True): Encoding("utf-16-le", "UTF-16 without a byte order mark"),
    (True, False, True, False): Encoding("utf-16-be", "UTF-16 without a byte order mark"),
    (False, True, True, True): Encoding("utf-32-le", "UTF-32 without a byte order mark"),
    (True, True, True, False): Encoding("utf-32-be", "UTF-32 without a byte order mark"),
}


def find_encoding(content: bytes) -> Encoding:
    """The encoding that a file's first bytes tell; UTF-8 where they tell none.

    >>> find_encoding(b"\\xff\\xfea\\0").name, find_encoding(b"a,b").name
    ('UTF-16', 'UTF-8')
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    return _ZEROS.get(tuple(byte == 0 for byte in content[:4]), UTF_8)


def open_text(content: bytes, encoding: Encoding, newline: str | None) -> io.TextIOWrapper:
    """The lines of a text; reading raises UnicodeDecodeError where bytes are none of it."""
    return io.TextIOWrapper(io.BytesIO(content), encoding.codec, newline=newline)


def undecodable(path: Path, content: bytes, encoding: Encoding) -> DataError:
    """The error of a file in which some bytes are no text of this encoding, with their line."""
    try:
        content.decode(encoding.codec)
    except UnicodeDecodeError as error:
        start = error.start + (3 if content.startswith(codecs.BOM_UTF8) else 0)
    else:
        raise AssertionError("only asked for where the text cannot be decoded")
    if encoding is not UTF_8:
        return _no_text(path, content, encoding, start)
    first = max(content.rfind(b"\n", 0, start), content.rfind(b"\r", 0, start)) + 1
    near = content[max(first, start - 20) : start + 10].splitlines()[0]
    as_western = near.decode("cp1252", errors="replace")
    return damaged(
        path,
        f": line {len(content[:start].splitlines()) + (first == start)}",
        "it is damaged: a byte is no UTF-8",
        found=f"{near!r}, byte {start - first + 1} of the line; "
        f"in Latin-1 or Windows-1252 it is {as_western!r}",
        allowed="text in UTF-8, or in UTF-16",
        next_step="save the file as UTF-8, from the encoding in which it reads rightly",
    )


def _no_text(path: Path, content: bytes, encoding: Encoding, start: int) -> DataError:
    before = content[:start].decode(encoding.codec, errors="ignore")
    return damaged(
        path,
        f": line {before.count(chr(10)) + 1}",
        f"it is damaged: bytes are no {encoding.name}, as the file begins",
        found=f"{content[start : start + 8]!r}, byte {start + 1} of the file",
        allowed="a whole file in UTF-8 or UTF-16",
        next_step="save the file as UTF-8",
    )
