"""Labels in a column of Parquet files: names, numbers that something names, or lists of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl

from mmlab_datasets.celltypes import as_lists, as_whole, is_list, is_text, item_type, offer_fields
from mmlab_datasets.columnar.files import ParquetFile, unusable
from mmlab_datasets.columns import given_labels

ALLOWED = "names of labels, their whole numbers, true or false, or lists of names or numbers"
YES_NO = ("false", "true")
Value = str | int | bool
#: What a cell says: nothing, or a value, or several.
Cell = tuple[Value, ...] | None


class Truths(NamedTuple):
    """The names of all labels, and the label ids of every row of a split; None where unknown."""

    names: tuple[str, ...]
    is_multi_label: bool
    ids: Sequence[tuple[int, ...] | None]


def read_truths(
    files: Sequence[ParquetFile], train: Sequence[ParquetFile], column: str, given: Sequence[str]
) -> Truths:
    """The labels of a split's files, by the names that are given, or those of the training files.

    These are the names in their schema, the categories of an Enum, or the texts that occur, sorted.
    Raises DataError for a column of another type, and for a label that has no name.
    """
    is_multi_label = _is_multi_label([*train, *files], column)
    schema = _schema_names([*train, *files], column)
    names = given_labels(given) or schema or _own_names(train, column)
    if given:
        _check_order(train[0], column, given, schema)
    else:
        _check_repeated(train[0], column, schema)
    _check_nul(train[0], column, names)
    ids: list[tuple[int, ...] | None] = []
    for file in files:
        ids += _numbered(file, column, names)
    return Truths(names, is_multi_label, ids)


def _is_multi_label(files: Sequence[ParquetFile], column: str) -> bool:
    """Whether the cells are lists, in all files. Raises DataError where they are in some."""
    types = {file.path: file.series(column).dtype for file in files}
    first = next(iter(types))
    for path, dtype in types.items():
        if is_list(dtype) != is_list(types[first]) and pl.Null not in (dtype, types[first]):
            fault = f"its labels are lists in one of {path.name} and {first.name}, and not in both"
            raise unusable(f"{path}: column {column!r}", fault, f"{dtype}; {types[first]}", ALLOWED)
    return any(is_list(dtype) for dtype in types.values())


# --- names ------------------------------------------------------------------------------------
def _schema_names(files: Sequence[ParquetFile], column: str) -> tuple[str, ...]:
    """The names of a label's numbers, as `datasets` writes them into the schema; () without.

    Raises DataError where two files differ.
    """
    known = {file.path: _names_in(file, column) for file in files}
    told = {path: names for path, names in known.items() if names}
    if not told:
        return ()
    (first, names), *others = told.items()
    for path, other in others:
        if other != names:
            fault = f"its schema names the labels otherwise than {first.name}"
            raise unusable(f"{path}: column {column!r}", fault, f"{list(other)}; {list(names)}")
    return names


def _check_repeated(file: ParquetFile, column: str, names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 or not name]
    if repeated:
        fault = "its schema names two labels alike, or one not at all"
        step = "name all labels in dataset.label_names, in the order of their numbers"
        raise unusable(file.place(column), fault, repeated, "every name once", step)


def _check_nul(file: ParquetFile, column: str, names: Sequence[str]) -> None:
    found = [name for name in names if "\0" in name]
    if found:
        fault, allowed = "the name of a label holds a NUL", "names without NUL"
        raise unusable(file.place(column), fault, found, allowed, "correct the name")


def _names_in(file: ParquetFile, column: str) -> tuple[str, ...]:
    names = file.feature(column).get("names")
    is_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if is_names and isinstance(names, list) else ()


def _check_order(
    file: ParquetFile, column: str, given: Sequence[str], schema: tuple[str, ...]
) -> None:
    """Refuse given names that numbers would be taken for wrongly.

    They count the names of the schema in its order, and from 0 those that are numbers themselves.
    """
    if is_text(item_type(file.series(column).dtype)):
        return
    if sorted(given) == sorted(schema) and tuple(given) != schema:
        fault = "dataset.label_names has the names of the schema in another order"
        step = "leave label_names out, or write the schema's order"
        raise unusable(file.place(column), fault, list(given), str(list(schema)), step)
    counted = [str(number) for number in range(len(given))]
    if all(name.isdecimal() for name in given) and list(given) != counted:
        fault = "dataset.label_names are numbers, but not those by which cells count them from 0"
        step = "name the labels from 0 on, or write them into the column as text"
        raise unusable(file.place(column), fault, list(given), str(counted), step)


def _own_names(train: Sequence[ParquetFile], column: str) -> tuple[str, ...]:
    """The labels that the training files' cells name."""
    types = [item_type(file.series(column).dtype) for file in train]
    enum = types[0]
    if isinstance(enum, pl.Enum) and all(dtype == enum for dtype in types):
        return tuple(name for name in enum.categories if name.strip())
    values = {value for file in train for cell in _cells(file, column) for value in cell or ()}
    texts = {value for value in values if isinstance(value, str)}
    if any(dtype == pl.Boolean for dtype in types) and not texts:
        return YES_NO
    if texts and len(texts) == len(values):
        return tuple(sorted(texts))
    fault = "no row has a label" if not values else "its labels are numbers and nothing names them"
    step = "name all labels in dataset.label_names, in the order of their numbers, or correct it"
    raise unusable(train[0].place(column), fault, train[0].series(column).dtype, ALLOWED, step)


# --- cells ------------------------------------------------------------------------------------
def _cells(file: ParquetFile, column: str) -> list[Cell]:
    """What every cell says. Raises DataError for a column of another type."""
    series = as_lists(file.series(column))
    if not isinstance(series.dtype, pl.List):
        values = _values(file, column, series)
        return [None if value is None else (value,) for value in values]
    filled = series.filter(series.list.len() > 0)
    left = iter(_values(file, column, filled.explode()))
    cells: list[Cell] = []
    for row, size in enumerate(series.list.len().to_list(), start=1):
        items = [next(left) for _ in range(size or 0)]
        known = tuple(item for item in items if item is not None)
        if len(known) < len(items):
            raise _nameless(file, column, row, None)
        cells.append(None if size is None else known)
    return cells


def _values(file: ParquetFile, column: str, series: pl.Series) -> list[Value | None]:
    """Texts, whole numbers or booleans; None for null, NaN and blank texts."""
    dtype = series.dtype
    if is_text(dtype):
        return [text if text and text.strip() else None for text in series.to_list()]
    whole = as_whole(series) if dtype.is_float() else series
    is_flags = dtype == pl.Boolean and not is_list(file.series(column).dtype)
    is_known = dtype.is_float() or dtype.is_integer() or dtype == pl.Null or is_flags
    if whole is None or not is_known:
        fault = "its cells are no labels" + " (a number is not whole)" * (whole is None)
        step = offer_fields(column, file.series(column).dtype)
        step = step or "write the label's name or its number into every cell"
        raise unusable(file.place(column), fault, file.series(column).dtype, ALLOWED, step)
    return whole.to_list()


def _numbered(file: ParquetFile, column: str, names: Sequence[str]) -> list[tuple[int, ...] | None]:
    """The label ids of every row of a file, each once, by number; None where unknown."""
    ids = {name: number for number, name in enumerate(names)}
    cells = _cells(file, column)
    if is_list(file.series(column).dtype):
        _refuse_flags(file, column, cells, len(names))
    else:  # -1 is how `datasets` writes that a label is unknown
        cells = [None if cell == (-1,) else cell for cell in cells]
    found: list[tuple[int, ...] | None] = []
    for row, cell in enumerate(cells, start=1):
        numbers = {_number(value, ids) for value in cell or ()}
        known = sorted(number for number in numbers if number is not None)
        if len(known) < len(numbers):
            raise _nameless(file, column, row, cell)
        found.append(None if cell is None else tuple(known))
    return found


def _number(value: Value, ids: Mapping[str, int]) -> int | None:
    """The id of a label by its name or number; None where it has no name."""
    if isinstance(value, str):
        return ids.get(value)
    if isinstance(value, bool) and set(ids) == set(YES_NO):
        return ids[YES_NO[value]]
    if isinstance(value, bool) and len(ids) != len(YES_NO):
        return None
    return int(value) if 0 <= value < len(ids) else None


def _refuse_flags(file: ParquetFile, column: str, cells: Sequence[Cell], label_count: int) -> None:
    """Raise DataError where every list seems to have a 0 or 1 for each label, as numbers of none.

    With more than two labels no list of numbers that differ looks so.
    """
    lists = [cell for cell in cells if cell is not None]
    is_flags = all(len(cell) == label_count and set(cell) <= {0, 1} for cell in lists)
    if lists and is_flags and any(len(set(cell)) < len(cell) for cell in lists):
        fault = "its lists have a 0 or 1 for each label, and are read as the numbers of labels"
        step = "write the numbers or the names of the labels that a row has"
        raise unusable(file.place(column), fault, f"{list(lists[0])}"[:80], ALLOWED, step)


def _nameless(file: ParquetFile, column: str, row: int, cell: Cell) -> Exception:
    value = cell[0] if cell is not None and len(cell) == 1 else cell
    dtype = file.series(column).dtype
    found = f"{repr(list(value) if isinstance(value, tuple) else value)[:80]}; {dtype}"
    return unusable(file.place(column, row), "a label has no name", found, ALLOWED)
