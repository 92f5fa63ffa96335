"""Rows that are one sample: those that name one file, each with a caption of it.

Lists of pictures with several captions are mostly written with one row a caption. As samples, the
copies of a picture would compete in retrieval, and be each other's negatives in contrastive losses.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.wording import counted

T = TypeVar("T")


#: What may spell one path in another way.
SPELLED = re.compile(r"//|(^|/)\.\.?(/|$)|/$")


def file_keys(columns: Sequence[pl.Series]) -> pl.Series:
    """For each row the first file that it names, however it is spelled; null where it names none.

    >>> file_keys([pl.Series(["a.png", None]), pl.Series(["a.wav", "./b//c.wav"])]).to_list()
    ['a.png', 'b/c.wav']
    """
    named = {str(place): column for place, column in enumerate(columns)}
    keys = pl.DataFrame(named).select(pl.coalesce(pl.all())).to_series()
    spelled = keys.str.contains(SPELLED.pattern).arg_true()
    if spelled.is_empty():
        return keys
    return keys.scatter(spelled, [plain_path(key) for key in keys.gather(spelled)])


def plain_path(name: str | None) -> str | None:
    """A path as it is spelled without detours."""
    return posixpath.normpath(name) if name and SPELLED.search(name) else name


def _all_differ(keys: Sequence[Hashable | None] | pl.Series) -> bool:
    """Whether no key is there twice, where a column can be asked as a whole."""
    if not isinstance(keys, pl.Series):
        return False
    known = keys.drop_nulls()
    return known.n_unique() == len(known)


class JoinedRows:
    """Which rows are one sample: those of one key; a row whose key is None is one by itself.

    Rows count from 0. Samples come in the order of their first rows. `places` names two rows and a
    column for a message, and `named` what the rows of a sample share: "image", say.
    """

    def __init__(
        self,
        keys: Sequence[Hashable | None] | pl.Series,
        places: Callable[[int, int, str | None], str],
        named: str,
    ) -> None:
        self._keys, self._places, self._named = keys, places, named
        self._firsts: Sequence[int] = range(len(keys))
        self._several: dict[int, list[int]] = {}  # the first row of a sample -> all of its rows
        self._filled: dict[str | None, int] = {}
        if not _all_differ(keys):
            self._join(keys)

    def _join(self, keys: Iterable[Hashable | None]) -> None:
        firsts: list[int] = []
        seen: dict[Hashable, int] = {}
        for row, key in enumerate(keys):
            first = row if key is None else seen.setdefault(key, row)
            if first == row:
                firsts.append(row)
            else:
                self._several.setdefault(first, [first]).append(row)
        if self._several:
            self._firsts = firsts

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._firsts)

    @property
    def is_each_one(self) -> bool:
        """Whether every row is a sample."""
        return not self._several

    @cached_property
    def rows(self) -> list[Sequence[int]]:
        """The rows of each sample."""
        return [self._several.get(first, [first]) for first in self._firsts]

    def first(self, values: Sequence[T]) -> Sequence[T]:
        """The value of each sample's first row."""
        return values if self.is_each_one else [values[row] for row in self._firsts]

    def captions(self, values: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
        """All captions of each sample, in the order of its rows."""
        if self.is_each_one:
            return values
        found = list(values)
        for first, rows in self._several.items():
            found[first] = tuple(caption for row in rows for caption in values[row])
        return self.first(found)

    def column(
        self, column: str | None, values: pl.Series, shown: Callable[[Any], object] = repr
    ) -> pl.Series:  # Any: the column's own type
        """As `agreed`, of a column of a table."""
        if self.is_each_one:
            return values
        return pl.Series(self.agreed(column, values.to_list(), shown), dtype=values.dtype)

    def agreed(
        self, column: str | None, values: Sequence[T], shown: Callable[[T], object] = repr
    ) -> Sequence[T]:
        """The one value of each sample: where a row says nothing, that of another row.

        Raises DataError where two rows of one sample say different things: where what `shown` makes
        of two values, which the message has, differs.
        """
        if self.is_each_one:
            return values
        found = list(values)
        for first, rows in self._several.items():
            found[first] = self._agreed(column, rows, values, shown)
        return self.first(found)

    def _agreed(
        self,
        column: str | None,
        rows: Sequence[int],
        values: Sequence[T],
        shown: Callable[[T], object],
    ) -> T:
        said = [row for row in rows if not _is_unknown(values[row])]
        if not said:
            return values[rows[0]]
        first = shown(values[said[0]])
        for row in said[1:]:
            if (other := shown(values[row])) != first:
                raise self._differ(column, said[0], row, [first, other])
        if len(said) < len(rows):
            self._filled[column] = self._filled.get(column, 0) + len(rows) - len(said)
        return values[said[0]]

    def notes(self, path: object) -> list[str]:
        """What a user is told; nothing where every row is a sample."""
        if not self._several:
            return []
        told = f"{path}: {counted(len(self._keys), 'row')} are {counted(len(self), 'sample')}: "
        told += f"rows of one {self._named} are one sample with several captions"
        for column, count in self._filled.items():
            told += f"; empty cells of {column!r} that take another row's value: {count:,}"
        return [f'{told} (rows = "samples" keeps them apart)']

    def _differ(
        self, column: str | None, one: int, other: int, shown: Sequence[object]
    ) -> DataError:
        key = self._keys[one]
        return DataError(
            explain(
                self._places(one + 1, other + 1, column),
                f"the rows are of one {self._named}, {key!r}, and differ in more than captions",
                found=f"{shown[0]} and {shown[1]}",
                allowed="the same in all rows of one sample, or an empty cell",
                next_step='correct a row, or set rows = "samples" if every row is a sample',
            )
        )


def _is_unknown(value: object) -> bool:
    return value is None or value != value
