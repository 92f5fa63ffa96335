"""Text on its way into a database: checked or made printable, JSON and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping

from mmlab.errors import DataError, explain

#: Stable ids are part of a unique index, and Postgres' hold no more than 2,704 bytes.
INDEXED_BYTES = 2000


def digest(text: str) -> str:
    """The sha256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(value: object) -> str:
    """JSON with sorted keys. Numbers that JSON lacks become the texts "nan", "inf" and "-inf"."""
    return json.dumps(_finite(value), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def printable(text: str) -> str:
    """Text that any database takes: what it would refuse is written as an escape instead."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def check_texts(place: str, texts: Iterable[str], *, is_indexed: bool = False) -> None:
    """Raise DataError at the first text that not every database can hold exactly."""
    for number, text in enumerate(texts):
        fault = _fault(text, is_indexed)
        if fault:
            raise DataError(
                explain(
                    f"{place} {number}",
                    fault,
                    found=ascii(text[:80]),
                    allowed="any Unicode text without NUL and lone surrogates"
                    + (f", at most {INDEXED_BYTES:,} bytes" if is_indexed else ""),
                    next_step="correct it in the dataset; nothing was written",
                )
            )


def _fault(text: str, is_indexed: bool) -> str | None:
    if "\0" in text:
        return "the text holds a NUL"
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        return "the text holds half of a surrogate pair"
    return "the text is too long" if is_indexed and size_bytes > INDEXED_BYTES else None
