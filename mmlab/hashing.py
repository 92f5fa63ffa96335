"""Values as JSON: one spelling for hashes, or in their order, to be read back as they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic_core import to_jsonable_python


def canonical_json(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no spaces, no NaN. Paths become strings.

    >>> canonical_json({"b": 1.0, "a": (True, None)})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_plain,
    )


def ordered_json(value: object) -> str:
    """JSON whose tables keep their order, with no NaN: the same values in one order, one text.

    >>> ordered_json({"b": 1.0, "a": (True, None)})
    '{"b": 1.0, "a": [true, null]}'
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def digest(value: object) -> str:
    """sha256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: object) -> object:
    """What JSON has no type for, as something it has."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=canonical_json)
    return dict(value) if isinstance(value, Mapping) else to_jsonable_python(value)
