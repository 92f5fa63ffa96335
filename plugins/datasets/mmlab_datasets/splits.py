"""Rows drawn into splits, so that what belongs together stays together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from mmlab_datasets.sample_table import Distinct, Places


def draw_splits(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """A split for every row: groups in the order of a hash, the first parts held out, rounded down.

    A fraction above 0 holds out one group at least, given three groups.
    """
    drawn = draw_distinct(Distinct.of(groups), fractions, seed)
    return drawn.at(np.arange(len(groups), dtype=np.int32))


def draw_distinct(
    groups: Distinct[str], fractions: Mapping[str, float], seed: int
) -> Distinct[str]:
    """The same, of groups that are each known once."""
    left, count = _order(groups.values, seed), len(groups.values)
    splits = ["train", *fractions]
    split_of = np.zeros(count, np.int32)
    for number, fraction in enumerate(fractions.values(), start=1):
        size = max(int(fraction * count), int(fraction > 0 and count > 2))
        split_of[left[:size]] = number
        left = left[size:]
    return Distinct(splits, split_of[groups.places])


def _order(groups: Sequence[str], seed: int) -> Places:
    """The places of groups in the order of their hashes."""
    begins = (int.from_bytes(_digest(group, seed)[:8]) for group in groups)
    found = np.fromiter(begins, np.uint64, len(groups))
    if len(np.unique(found)) == len(found):
        return np.argsort(found).astype(np.int32)
    ranked = sorted(range(len(groups)), key=lambda place: _digest(groups[place], seed))
    return np.array(ranked, np.int32)


def _digest(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()
