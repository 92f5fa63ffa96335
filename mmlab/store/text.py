"""Text on its way into a database: checked, JSON and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping

from mmlab.errors import DataError, check_text, explain, unstorable

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


def check_texts(place: str, texts: Iterable[str], *, is_indexed: bool = False) -> None:
    """Raise DataError at the first text that not every database can hold exactly."""
    for number, text in enumerate(texts):
        if unstorable(text) is not None:
            check_text(f"{place} {number}", text)
        if is_indexed and len(text.encode()) > INDEXED_BYTES:
            raise DataError(
                explain(
                    f"{place} {number}",
                    "the text is too long",
                    found=ascii(text[:80]),
                    allowed=f"at most {INDEXED_BYTES:,} bytes",
                    next_step="correct it in the dataset; nothing was written",
                )
            )
