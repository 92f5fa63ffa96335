"""Cells that say numbers, and words that say there is none: NaN, N/A, null."""

from __future__ import annotations

import math
import re

#: What a cell of a column of numbers says where nothing is known, in any case.
MISSING = frozenset(
    {"nan", "-nan", "n/a", "na", "n.a.", "<na>", "#n/a", "nat", "null", "nil", "none"}
    | {"-", "--", "?", "."}
)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:([,.' \u00a0\u202f\u2019])\d{3})(?:\1\d{3})*(?:[,.]\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


def parse_number(text: str) -> float | None:
    """The finite number that a text says, blanks around it aside; None for any other text.

    >>> parse_number(" 1e3 "), parse_number("1_000"), parse_number("inf")
    (1000.0, None, None)
    """
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and "_" not in text else None


def is_missing(text: str) -> bool:
    """True for a word that says there is no number, and for blanks.

    >>> is_missing("N/A"), is_missing(" "), is_missing("0")
    (True, True, False)
    """
    word = text.strip().casefold()
    return not word or word in MISSING


def is_foreign(text: str) -> bool:
    """True for a number with separators of thousands or a decimal comma, which is not read.

    >>> is_foreign("1,234.50"), is_foreign("3,5"), is_foreign("1234")
    (True, True, False)
    """
    word = text.strip()
    return bool(_THOUSANDS.fullmatch(word) or _COMMA.fullmatch(word))


def has_leading_zero(text: str) -> bool:
    """True for a number that begins as a code does.

    >>> has_leading_zero("01234"), has_leading_zero("0.5"), has_leading_zero("0")
    (True, False, False)
    """
    return text[0] == "0" and text[1:2].isdigit()
