"""Columns of an index as the cells of a table's row: each of numbers, or of categories."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import Index
from mmlab_datasets.numerals import has_leading_zero, is_foreign, is_missing, parse_number
from mmlab_datasets.rows import JoinedRows
from mmlab_datasets.wording import counted, some, toml_key

Kind = Literal["number", "category"]
Cell = str | float | None
#: Of the cells that are known: up to this share, cells that are no numbers may be mistakes.
SUSPICIOUS_SHARE = 0.05
#: Of the cells that are known: from this share on, a column looks like one of numbers.
FOREIGN_SHARE = 0.9


@dataclass(frozen=True)
class Column:
    """The cells of a column, None where one is missing, its kind, and what is to say of it.

    `why` follows the name of a column of which there is nothing more to say than its kind.
    """

    cells: Sequence[Cell]
    kind: Kind
    note: str = ""
    why: str = ""


def read_cells(
    index: Index, columns: Sequence[str], kinds: Mapping[str, Kind], joined: JoinedRows
) -> tuple[dict[str, pl.Series], list[str]]:
    """The cells of all samples by column, and notes that tell the kind of every column.

    A column is of numbers where every cell says one but for those that are empty, or a word such
    as NaN or N/A; else its cells are categories, as they are written. `kinds` says it of a column
    instead. Raises DataError for a column that is not there, and for a cell of a column that is
    said to be of numbers and is none.
    """
    for column in kinds.keys() - set(columns):
        raise _not_tabular(column, columns)
    read = {column: _read(index, column, kinds.get(column)) for column in columns}
    notes = [f"{index.path}: column {name!r} {one.note}" for name, one in read.items() if one.note]
    for kind, words in (("number", "numbers"), ("category", "categories")):
        plain = [f"{n!r}{c.why}" for n, c in read.items() if c.kind == kind and not c.note]
        if plain:
            notes.append(f"{index.path}: read as {words}: {some(plain, 20)}")
    types = {"number": pl.Float64, "category": pl.String}
    return {
        name: pl.Series(name, joined.agreed(name, column.cells), types[column.kind])
        for name, column in read.items()
    }, notes


def _read(index: Index, column: str, declared: Kind | None) -> Column:
    series = index.series(column)
    if series.dtype.is_numeric() and declared != "category":
        return _numbers(series)
    if series.dtype == pl.Boolean or series.dtype.is_numeric():
        texts: Sequence[str | None] = [_joined(cells) for cells in index.labels(column)]
    else:
        texts = index.cells(column)
    if declared == "category":
        return Column(texts, "category", why=" (declared)")
    return _said(index, column, texts, declared)


def _joined(cells: tuple[str, ...]) -> str | None:
    return cells[0] if cells else None


def _numbers(series: pl.Series) -> Column:
    cells = series.cast(pl.Float64).to_list()
    infinite = sum(cell is not None and math.isinf(cell) for cell in cells)
    found = [cell if cell is not None and math.isfinite(cell) else None for cell in cells]
    told = f"is read as numbers; {counted(infinite, 'cell')} without end taken as missing"
    return Column(found, "number", told if infinite else "")


def _said(index: Index, column: str, texts: Sequence[str | None], declared: Kind | None) -> Column:
    """A column of texts, as numbers where they are."""
    cells = [None if text is None else parse_number(text) for text in texts]
    missing: Counter[str] = Counter()
    others: list[int] = []
    for row, (text, cell) in enumerate(zip(texts, cells, strict=True), start=1):
        if text is None or cell is not None:
            continue
        if is_missing(text):
            missing[text] += 1
        else:
            others.append(row)
    if others and declared == "number":
        raise _no_number(index, column, others[0], texts)
    known = sum(cell is not None for cell in cells)
    if others or (missing and not known and not declared):
        return _categories(index, column, texts, others, known)
    words = [f"{counted(count, 'cell')} {word!r}" for word, count in missing.most_common()]
    told = [f"missing: {some(words, 5)}"] if words else []
    codes = [] if declared else [text for text in texts if text and has_leading_zero(text)]
    if codes:
        told.append(
            f"a 0 at the beginning is lost in {counted(len(codes), 'cell')}, as {codes[0]!r}; "
            f'kinds = {{ {toml_key(column)} = "category" }} keeps codes'
        )
    note = "; ".join(["is read as numbers", *told]) if told else ""
    return Column(cells, "number", note, " (declared)" if declared else "")


def _categories(
    index: Index, column: str, texts: Sequence[str | None], others: Sequence[int], known: int
) -> Column:
    """A column in which these rows say no number."""
    rows = others or [row for row, text in enumerate(texts, start=1) if text is not None]
    shown = [f"{texts[row - 1]!r:.40} in row {index.places.row(row)}" for row in rows]
    count, share = known + len(others), len(others) / max(1, known + len(others))
    foreign = [row for row in others if is_foreign(str(texts[row - 1]))]
    if foreign and len(foreign) + known >= FOREIGN_SHARE * count:
        seen = f"{len(foreign):,} of {count:,} cells have separators of thousands or decimal commas"
        step = "written as 1234 or 3.5 they would be numbers"
    elif known and share <= SUSPICIOUS_SHARE:
        seen = f"{len(others):,} of {count:,} cells are no numbers"
        step = f'kinds = {{ {toml_key(column)} = "number" }} refuses them, "category" means them'
    else:
        return Column(texts, "category", why=f" ({shown[0]})")
    return Column(texts, "category", f"is read as categories: {seen} ({some(shown)}); {step}")


def _no_number(index: Index, column: str, row: int, texts: Sequence[str | None]) -> DataError:
    text = str(texts[row - 1])
    foreign = "; separators of thousands and decimal commas are not read" * is_foreign(text)
    return DataError(
        explain(
            index.places.of(row, column),
            "the cell is no finite number, and dataset.kinds says that the column is of numbers",
            found=repr(text)[:80],
            allowed=f"a number such as 12 or 0.5, NaN, N/A, null, or an empty cell{foreign}",
            next_step=f'correct the cell, or set kinds.{column} = "category"',
        )
    )


def _not_tabular(column: str, columns: Sequence[str]) -> DataError:
    return DataError(
        explain(
            "dataset.kinds",
            "a kind is given for a column that is not among dataset.tabular_columns",
            found=repr(column),
            allowed=", ".join(map(repr, columns)) or "none: there are no tabular_columns",
            next_step="name the column in tabular_columns too, or remove it from kinds",
        )
    )
