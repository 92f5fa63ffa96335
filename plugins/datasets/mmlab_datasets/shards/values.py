"""What the short members of a sample say: captions, labels, fields of JSON.

Every function raises ValueError with what was found where a member says something else.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping

import numpy as np

from mmlab.plugin import decode_text
from mmlab_datasets.texts import read_lines

#: Label ids beyond have no label anywhere.
_LABELS = 1 << 31

#: Label ids, and labels by name; None where there is no label.
Labels = tuple[list[int], list[str]] | None


def read_captions(content: bytes, *, is_lines: bool) -> list[str]:
    """The caption of a text, or with `is_lines` one of each line; blank ones are none."""
    text = decode_text(content)
    parts = read_lines(text) if is_lines else [text.strip()]
    return [part for part in parts if part]


def read_label(content: bytes) -> Labels:
    """The label of a `.cls`: a whole number counts from 0, another word is the label's name."""
    text = decode_text(content).strip()
    if not text:
        raise ValueError("no label")
    number = re.fullmatch(r"[+-]?[0-9]+", text)
    return _label(int(text) if number else text)


def read_flags(content: bytes) -> tuple[list[int], int]:
    """The label ids of an array of a 0 or 1 for each label, and for how many labels it is."""
    try:
        flags = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (EOFError, MemoryError, OSError) as error:
        raise ValueError(str(error) or "it ends early") from error
    if flags.dtype.kind not in "biuf" or flags.size != max(flags.shape, default=0):
        raise ValueError(f"an array of {flags.dtype} of shape {flags.shape}")
    wrong = flags[(flags != 0) & (flags != 1)]
    if wrong.size:
        raise ValueError(f"an array of {flags.size} values, one of them {wrong.flat[0]}")
    return np.flatnonzero(flags).tolist(), flags.size


def read_object(content: bytes) -> Mapping[str, object]:
    """The fields of a JSON object. UTF-16 and byte order marks are read, as JSON's reader does."""
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{_told(value)}, no object")
    return value


def field_captions(fields: Mapping[str, object], name: str) -> list[str]:
    """The captions in a field: a text or a list of some; none where it is absent, null or blank."""
    value = fields.get(name)
    if value is None:
        return []
    several = value if isinstance(value, list) else [value]
    captions = [one for one in several if isinstance(one, str)]
    if len(captions) < len(several):
        wrong = next(one for one in several if not isinstance(one, str))
        raise ValueError(f"{name!r} {'holds' if several is value else 'is'} {_told(wrong)}")
    return [_storable(name, one) for one in captions if one.strip()]


def field_labels(fields: Mapping[str, object], name: str, *, is_several: bool) -> Labels:
    """The label in a field, a number from 0 or a name, or a list of some; None where it is null."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        return _label(value, name)
    if not is_several:
        raise ValueError(f"{name!r} is a list, and multi_label = true is not set")
    found = [_label(one, name) for one in value]
    return [one for ids, _ in found for one in ids], [one for _, names in found for one in names]


def field_group(fields: Mapping[str, object], name: str) -> str | None:
    """The value of a field that samples of one picture share; None where it is null."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{name!r} is {_told(value)}")
    return _storable(name, str(value))


def _label(value: object, name: str = "") -> tuple[list[int], list[str]]:
    if isinstance(value, float) and value.is_integer() and abs(value) < _LABELS:
        value = int(value)  # of a table in which some were missing
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LABELS:
        return [value], []
    if isinstance(value, str) and value.strip():
        return [], [_storable(name or "label", value.strip())]
    raise ValueError(f"{name!r} is {_told(value)}" if name else _told(value))


def _storable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"{name!r} holds half of a surrogate pair: {text[:80]!a}"
        raise ValueError(found) from error
    return text


def _told(value: object) -> str:
    """What a value of JSON is, in words."""
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)[:40]
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    return "a list" if isinstance(value, list) else "an object"
