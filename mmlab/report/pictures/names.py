"""Names of groups in a picture: what tells them apart, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from mmlab.report.boards.words import group_labels

#: What stands before a value in the name of a cell.
_BEFORE_VALUE = re.compile(r"[=·,] *")
# What names a group: experiment and group hash.
Key = tuple[str, str]


def group_names(rows: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """A short name of each group of rows, by experiment and group hash."""
    rows = list(rows)
    is_named = len({row["experiment"] for row in rows}) > 1
    found = group_labels(rows, is_named=is_named)
    return dict(zip(found, told_apart(list(found.values())), strict=True))


def told_apart(names: list[str]) -> list[str]:
    """Names without what all of them begin with, up to a value.

    >>> told_apart(["fusion=sum", "fusion=gating"]), told_apart(["fusion=sum"])
    (['sum', 'gating'], ['fusion=sum'])
    """
    if len(names) < 2:
        return names
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    shared = "".join(letters[0] for letters in alike)
    ends = [match.end() for match in _BEFORE_VALUE.finditer(shared)]
    short = [name[ends[-1] :] for name in names] if ends else names
    return short if all(short) else names
