"""Counts and examples in the words of a note."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence


def counted(number: int, word: str) -> str:
    """A number of things.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {word}{'s' * (number != 1)}"


def toml_key(name: str) -> str:
    """A name as a key of TOML.

    >>> toml_key("age"), toml_key("age (years)")
    ('age', '"age (years)"')
    """
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def some(values: Sequence[object], most: int = 3) -> str:
    """The first of some values, and how many more there are.

    >>> some([4, 7]), some("abcde")
    ('4, 7', 'a, b, c and 2 more')
    """
    more = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + more
