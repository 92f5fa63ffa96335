"""Files with the same bytes, against a plain comparison of everything with everything."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmlab.data.contents import File, find_equal

#: Name and content of the files of a table; few of each, so that many are equal.
Table = Sequence[tuple[int, bytes]]
TABLES = st.lists(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([b"", b"a", b"b", b"ab", b"ba"]))),
    min_size=2,
    max_size=3,
)


def find(
    tables: Sequence[Table], pairs: Sequence[tuple[int, int]], limit: int = 100
) -> tuple[list[list[File]], dict[str, int]]:
    def open_file(file: File) -> BinaryIO:
        return io.BytesIO(tables[file[0]][file[1]][1])

    names = [np.array([name for name, _ in table], np.int64) for table in tables]
    sizes = [np.array([len(content) for _, content in table], np.int64) for table in tables]
    return find_equal(names, sizes, pairs, open_file, limit)


def first_of_names(table: Table) -> dict[int, bytes]:
    """Each name once: the same file is the same file."""
    found: dict[int, bytes] = {}
    for name, content in table:
        found.setdefault(name, content)
    return found


@given(TABLES)
def test_equal_files_are_those_that_a_plain_comparison_finds(tables: list[Table]) -> None:
    pairs = list(itertools.combinations(range(len(tables)), 2))
    groups, _ = find(tables, pairs)
    # The first file of a name stands for it, as it does here.
    named = [{name: content for name, content in first_of_names(t).items()} for t in tables]
    alone = [
        {n for n in own if not any(n in other for k, other in enumerate(named) if k != number)}
        for number, own in enumerate(named)
    ]
    expected = {
        (a, x, b, y)
        for a, b in pairs
        for x in alone[a]
        for y in alone[b]
        if named[a][x] == named[b][y] != b""
    }
    found = {
        (a, tables[a][i][0], b, tables[b][j][0])
        for group in groups
        for (a, i), (b, j) in itertools.combinations(sorted(group), 2)
        if a != b
    }
    assert found == expected


def test_a_table_paired_with_itself_finds_its_repeats() -> None:
    tables: list[Table] = [[(1, b"a"), (2, b"a"), (2, b"a"), (3, b"b")], [(4, b"b")]]
    groups, told = find(tables, [(0, 0)])
    assert groups == [[(0, 0), (0, 1)]]
    assert told == {"alike": 3, "read": 3, "unreadable": 0}


def test_of_too_many_files_those_of_rare_sizes_are_read() -> None:
    common = [(n, bytes([n])) for n in range(1, 9)]
    tables: list[Table] = [[*common, (20, b"rare")], [(30, bytes([99])), (40, b"rare")]]
    groups, told = find(tables, [(0, 1)], limit=4)
    assert groups == [[(0, 8), (1, 1)]]
    assert told == {"alike": 11, "read": 4, "unreadable": 0}


def test_no_files_are_no_groups() -> None:
    assert find([[], []], [(0, 1)]) == ([], {"alike": 0, "read": 0, "unreadable": 0})
