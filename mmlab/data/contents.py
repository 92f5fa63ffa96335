"""Files of different names whose bytes are the same: found by size, then a block, then a sha256.

Files are given by the columns of their tables: a hash of each name, and each size in bytes. A file
is found by the number of its table and its place there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mmlab.data.skipped import READ_ERRORS

Numbers = npt.NDArray[np.int64]
NONE: Numbers = np.zeros(0, np.int64)
#: Table and place.
File = tuple[int, int]
#: Pairs of tables between which files are compared; a table with itself finds repeats in it.
Pairs = Sequence[tuple[int, int]]

#: Files that are read, at most.
CONTENTS = 50_000
#: Bytes from the middle of a file that are compared before all of it.
BLOCK_BYTES = 4096


def find_equal(
    names: Sequence[Numbers],
    sizes: Sequence[Numbers],
    pairs: Pairs,
    open_file: Callable[[File], BinaryIO],
    limit: int = CONTENTS,
) -> tuple[list[list[File]], dict[str, int]]:
    """Groups of files with the same bytes, and how many files were "alike" in size, and "read".

    A name counts once in a table, and not at all where it is in both tables of a pair: that is the
    same file. Of more files than `limit` those of the rarest sizes are read. Files that cannot be
    read are left out, and counted as "unreadable".
    """
    alike = _equal_sizes(names, sizes, pairs)
    told = {"alike": len(alike), "read": min(limit, len(alike)), "unreadable": 0}
    chosen = {file: sizes[file[0]].item(file[1]) for file in alike[:limit]}
    by_block = _by_digest(chosen, chosen, open_file, told, _block_digest)
    unsure = [file for group in _clashing(by_block, pairs) for file in group]
    large = [file for file in unsure if chosen[file] > BLOCK_BYTES]
    whole = _by_digest(large, chosen, open_file, told, _whole_digest)
    small = {key: group for key, group in by_block.items() if key[0] <= BLOCK_BYTES}
    return _clashing({**small, **whole}, pairs), told


def _equal_sizes(names: Sequence[Numbers], sizes: Sequence[Numbers], pairs: Pairs) -> list[File]:
    """The files that have a size in common with one of another name, the rarest sizes first."""
    first = [np.sort(np.unique(column, return_index=True)[1]) for column in names]
    known = [_named_in_both(names, pairs, number) for number in range(len(names))]
    first = [
        places[~np.isin(names[number][places], known[number]) & (sizes[number][places] > 0)]
        for number, places in enumerate(first)
    ]
    found = [sizes[number][places] for number, places in enumerate(first)]
    both = {(a, b): _common(found[a], found[b], is_one=a == b) for a, b in pairs}
    shared = [
        np.concatenate([*(both[pair] for pair in pairs if number in pair), NONE])
        for number in range(len(sizes))
    ]
    kept = [places[np.isin(found[n], shared[n])] for n, places in enumerate(first)]
    tables = np.concatenate([np.full(len(places), n) for n, places in enumerate(kept)])
    entries = np.concatenate(kept)
    each = np.concatenate([sizes[number][places] for number, places in enumerate(kept)])
    _, group, count = np.unique(each, return_inverse=True, return_counts=True)
    # Of a size that is cut off by the limit, every file of the smaller tables comes first.
    order = np.lexsort(
        (entries, np.array([len(places) for places in kept])[tables], group, count[group])
    )
    return list(zip(tables[order].tolist(), entries[order].tolist(), strict=True))


def _named_in_both(names: Sequence[Numbers], pairs: Pairs, number: int) -> Numbers:
    """Names of a table that another one of its pairs has too."""
    others = [names[a if b == number else b] for a, b in pairs if a != b and number in (a, b)]
    return np.intersect1d(names[number], np.concatenate([*others, NONE]))


def _common(first: Numbers, second: Numbers, *, is_one: bool) -> Numbers:
    """Sizes that are in both, or of one table those that are there twice."""
    if not is_one:
        return np.intersect1d(first, second)
    values, count = np.unique(first, return_counts=True)
    return values[count > 1]


def _by_digest(
    files: Iterable[File],
    sizes: Mapping[File, int],
    open_file: Callable[[File], BinaryIO],
    told: dict[str, int],
    digest: Callable[[BinaryIO, int], bytes],
) -> dict[tuple[int, bytes], list[File]]:
    """Files by their size and a digest of what is in them."""
    found: dict[tuple[int, bytes], list[File]] = {}
    for file in files:
        try:
            with open_file(file) as content:
                key = sizes[file], digest(content, sizes[file])
        except READ_ERRORS:
            told["unreadable"] += 1
            continue
        found.setdefault(key, []).append(file)
    return found


def _block_digest(content: BinaryIO, size: int) -> bytes:
    content.seek(max(0, (size - BLOCK_BYTES) // 2))
    return hashlib.sha256(content.read(BLOCK_BYTES)).digest()


def _whole_digest(content: BinaryIO, size: int) -> bytes:
    whole = hashlib.sha256()
    while block := content.read(1 << 20):
        whole.update(block)
    return whole.digest()


def _clashing(groups: Mapping[tuple[int, bytes], list[File]], pairs: Pairs) -> list[list[File]]:
    """The groups that have files of both tables of a pair, or two of a table paired with itself."""

    def clashes(group: list[File]) -> bool:
        tables = [table for table, _ in group]
        return any(
            a in tables and b in tables and (a != b or tables.count(a) > 1) for a, b in pairs
        )

    return sorted(sorted(group) for group in groups.values() if clashes(group))
