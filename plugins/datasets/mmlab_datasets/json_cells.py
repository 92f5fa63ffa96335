"""What the cells of JSON objects are, column by column: texts, numbers, booleans or lists."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import Places

#: What a line must hold for one of its values to be no JSON or no text; most lines need no look.
_SUSPECT = re.compile(r"\\u[dD]|NaN|Infinity|\d[eE]")
_HALF = re.compile("[\ud800-\udfff]")
_NAMES = {
    str: "text",
    int: "whole numbers",
    float: "numbers",
    bool: "booleans",
    list: "lists",
    dict: "objects",
}


def kind_of(types: Iterable[type], items: Iterable[type]) -> str:
    """The kind of a column whose cells, and items of lists, are of these types.

    >>> kind_of([int, float], []), kind_of([str, list], [str]), kind_of([bool, int], [])
    ('number', 'texts', 'mixed')

    A column of lists of lists, or of booleans, is "nested": it is kept as JSON.
    """
    cells, inner = frozenset(types), frozenset(items)
    if list in cells:
        alone = (cells - {list}) | inner
        if float in alone and alone <= {int, float}:
            return "numbers"
        if len(alone) == 1 and alone <= {list, bool}:
            return "nested"
        return "texts" if alone <= {str, int, float} else "mixed"
    if dict in cells or (cells > {bool} and str not in cells):
        return "mixed"
    if str in cells:
        return "text"
    return "truth" if bool in cells else "number" if float in cells else "whole"


def _text(cell: object) -> str | None:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return None if cell is None else str(cell)


def _float(cell: float | None) -> float | None:
    return None if cell is None else float(cell)


def _list(cell: object) -> list[object] | None:
    return cell if cell is None or isinstance(cell, list) else [cell]


def _texts(cell: object) -> list[str | None] | None:
    items = _list(cell)
    return None if items is None else [_text(item) for item in items]


#: Kind -> the type of its column, and what makes a cell of it where it is not one already.
_MADE: Mapping[str, tuple[pl.DataType, Callable[..., object] | None]] = {
    "text": (pl.String(), _text),
    "whole": (pl.Int64(), None),
    "number": (pl.Float64(), _float),
    "truth": (pl.Boolean(), None),
    "texts": (pl.List(pl.String()), _texts),
    "numbers": (pl.List(pl.Float64()), _list),
    "nested": (pl.String(), lambda cell: None if cell is None else json.dumps(cell)),
    "mixed": (pl.Null(), lambda cell: None),
}


class _Fault(NamedTuple):
    """What is wrong with a cell, as the last four parts of a message."""

    fault: str
    found: str
    allowed: str
    next_step: str


@dataclass
class _Column:
    """The cells of one key. Of each type of cell, and of item in lists, the row where it is first.

    `taken_as` are the kinds that chunks of cells were taken for, each with the row before it.
    """

    types: dict[type, int] = field(default_factory=dict)
    items: dict[type, int] = field(default_factory=dict)
    chunks: list[tuple[int, pl.Series]] = field(default_factory=list)
    taken_as: set[str] = field(default_factory=set)
    fault: tuple[int, _Fault] | None = None

    @property
    def kind(self) -> str:
        """The kind of all cells so far."""
        return kind_of(self.types, self.items)

    @property
    def is_alike(self) -> bool:
        """Whether all chunks were taken for what the column is."""
        kind = self.kind
        return self.taken_as <= ({"whole", "number"} if kind == "number" else {kind})

    def add(self, cells: Sequence[object], before: int, kind: str | None) -> None:
        """Add the cells of further rows; `kind` is what the column is, if that is known."""
        _first_rows(self.types, cells, before)
        if list in self.types:
            inner = [(row, cell) for row, cell in enumerate(cells) if isinstance(cell, list)]
            for row, cell in inner:
                _first_rows(self.items, cell, before + row, is_one_row=True)
        whole = [cell for cell in cells if type(cell) is int] if int in self.types else []
        if whole and not (min(whole) >= -(2**63) and max(whole) < 2**63):
            self.types.setdefault(str, before + 1)  # a number as long is a name
        if not self.types:
            return
        kind = kind or self.kind
        self.taken_as.add(kind)
        dtype, make = _MADE[kind]
        made = cells if make is None else list(map(make, cells))
        self.chunks.append((before, pl.Series(made, dtype=dtype)))

    def series(self, name: str, count: int) -> pl.Series:
        """The column, empty where no cell was added."""
        dtype = _MADE[self.kind][0] if self.types else pl.Null()
        parts, filled = [pl.Series(name, [], dtype)], 0
        for before, chunk in [*self.chunks, (count, pl.Series([], dtype=dtype))]:
            parts += [pl.Series([None] * (before - filled), dtype=dtype), chunk.cast(dtype)]
            filled = before + len(chunk)
        return pl.concat(parts, rechunk=True)


def _first_rows(
    first: dict[type, int], cells: Sequence[object], before: int, *, is_one_row: bool = False
) -> None:
    """Note where types of cells are first that have not been seen."""
    for kind in set(map(type, cells)) - first.keys() - {type(None)}:
        position = next(at for at, cell in enumerate(cells) if type(cell) is kind)
        first[kind] = before + 1 + (0 if is_one_row else position)


class Columns:
    """Objects as columns, a number of them at a time.

    The kind of a column is that of the cells so far, unless `kinds` says it. `lines` has the line
    of every row.
    """

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        self.lines = array("q")
        self._given = kinds or {}
        self._columns: dict[str, _Column] = {}

    def add(self, chunk: Sequence[tuple[int, str, dict[str, object]]]) -> None:
        """Add objects, each with its line as a number and as text."""
        before = len(self.lines)
        self.lines.extend(number for number, _, _ in chunk)
        for row, (_, line, cells) in enumerate(chunk, start=before + 1):
            if _SUSPECT.search(line):
                self._mend(row, cells)
        for name in dict.fromkeys(name for _, _, cells in chunk for name in cells):
            self._columns.setdefault(name, _Column())
        for name, column in self._columns.items():
            found = [cells.get(name) for _, _, cells in chunk]
            column.add(found, before, self._given.get(name))

    def kinds(self) -> dict[str, str]:
        """The kind of every column that has cells."""
        return {name: column.kind for name, column in self._columns.items() if column.types}

    @property
    def nested(self) -> frozenset[str]:
        """Columns of lists of lists that are sound; they are kept as JSON."""
        columns = self._columns.items()
        return frozenset(n for n, each in columns if each.kind == "nested" and not each.fault)

    @property
    def are_alike(self) -> bool:
        """Whether all cells of each column were taken for what the column is."""
        return all(column.is_alike for column in self._columns.values())

    def table(self) -> pl.DataFrame:
        """All columns; those of cells that do not go together are empty."""
        count = len(self.lines)
        return pl.DataFrame([each.series(name, count) for name, each in self._columns.items()])

    def faults(self, places: Places) -> dict[str, DataError]:
        """For each column that cannot be read, what is wrong with it."""
        found = {}
        for name, column in self._columns.items():
            if column.fault:
                row, (fault, *parts) = column.fault
                told = dict(zip(_Fault._fields[1:], parts, strict=True))
                place = places.of(row, name, with_line=True)
                found[name] = DataError(explain(place, fault, **told))
            elif column.types and column.kind in ("mixed", "nested"):
                found[name] = _mixed(places, name, column)
        return found

    def _mend(self, row: int, cells: dict[str, object]) -> None:
        """Empty what is no number of JSON, and replace what is no text: faults of their columns."""
        for name in list(cells):
            if _HALF.search(name):
                del cells[name]  # no spec can name it
                continue
            wrong: list[_Fault] = []
            cells[name] = _mended(cells[name], wrong)
            column = self._columns.setdefault(name, _Column())
            if wrong and column.fault is None:
                column.fault = row, wrong[0]


def _mended(cell: object, wrong: list[_Fault]) -> object:
    if isinstance(cell, list):
        return [_mended(item, wrong) for item in cell]
    if isinstance(cell, str) and _HALF.search(cell):
        wrong.append(_half(cell))
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", cell)
    if isinstance(cell, float) and not math.isfinite(cell):
        wrong.append(_no_number(cell))
        return None
    return cell


def _half(text: str) -> _Fault:
    fault = "the text holds half of a surrogate pair"
    allowed = "any Unicode text without lone surrogates"
    return _Fault(fault, ascii(text[:80]), allowed, "correct the cell")


def _no_number(cell: float) -> _Fault:
    fault = "the cell is no finite number, and so it is no JSON"
    allowed = "a finite number, or null where it is not known"
    return _Fault(fault, json.dumps(cell), allowed, "write null, or the number")


def _mixed(places: Places, name: str, column: _Column) -> DataError:
    inner = {kind: row for kind, row in column.items.items() if kind in (dict, list, bool)}
    told = [f"{_NAMES[kind]} (row {row})" for kind, row in column.types.items()]
    told += [f"lists of {_NAMES[kind]} (row {row})" for kind, row in inner.items()]
    return DataError(
        explain(
            f"{places.path}: column {name!r}",
            "its cells are of kinds that do not go together",
            found=", ".join(told),
            allowed="texts and numbers, booleans alone, or lists of texts or numbers",
            next_step="write all cells of the column in one way",
        )
    )
