"""Rows drawn into splits, so that what belongs together stays together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def draw_splits(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """A split for every row: groups in the order of a hash, the first parts held out, rounded down.

    A fraction above 0 holds out one group at least, given three groups.
    """

    def rank(group: str) -> str:
        return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()

    left = sorted(set(groups), key=rank)
    split_of = dict.fromkeys(left, "train")
    count = len(left)
    for split, fraction in fractions.items():
        size = max(int(fraction * count), int(fraction > 0 and count > 2))
        split_of |= dict.fromkeys(left[:size], split)
        left = left[size:]
    return [split_of[group] for group in groups]
