"""Columns of an index as the cells of a table's row: each of numbers, or of categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import Index
from mmlab_datasets.numerals import has_leading_zero, is_foreign, is_missing, parse_number
from mmlab_datasets.rows import JoinedRows
from mmlab_datasets.sample_table import Distinct
from mmlab_datasets.wording import counted, some, toml_key

Kind = Literal["number", "category"]
#: Of the cells that are known: up to this share, cells that are no numbers may be mistakes.
SUSPICIOUS_SHARE = 0.05
#: Of the cells that are known: from this share on, a column looks like one of numbers.
FOREIGN_SHARE = 0.9
#: Cells that a note shows.
SHOWN = 3


@dataclass(frozen=True)
class Column:
    """The cells of a column, null where one is missing, its kind, and what is to say of it.

    `why` follows the name of a column of which there is nothing more to say than its kind.
    """

    cells: pl.Series
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
    return {name: joined.column(name, column.cells) for name, column in read.items()}, notes


def _read(index: Index, column: str, declared: Kind | None) -> Column:
    series = index.series(column)
    if series.dtype.is_numeric() and declared != "category":
        return _numbers(series)
    if series.dtype == pl.Boolean or series.dtype.is_numeric():
        named = [cells[0] if cells else None for cells in index.labels(column)]
        texts = pl.Series(named, dtype=pl.String)
    else:
        texts = index.texts(column)
    if declared == "category":
        return Column(texts, "category", why=" (declared)")
    return _said(index, column, texts, declared)


def _numbers(series: pl.Series) -> Column:
    cells = series.cast(pl.Float64)
    infinite = int(cells.is_infinite().sum())
    known = cells.is_finite().fill_null(False)
    found = pl.select(pl.when(known).then(cells)).to_series()
    told = f"is read as numbers; {counted(infinite, 'cell')} without end taken as missing"
    return Column(found, "number", told if infinite else "")


def _said(index: Index, column: str, texts: pl.Series, declared: Kind | None) -> Column:
    """A column of texts, as numbers where they are. Each text is looked at once."""
    cells: Distinct[str | None] = Distinct.of(texts)
    counts = np.bincount(cells.places, minlength=len(cells.values))
    numbers = [None if text is None else parse_number(text) for text in cells.values]
    unread = [
        place
        for place, (text, number) in enumerate(zip(cells.values, numbers, strict=True))
        if text is not None and number is None
    ]
    words = {str(cells.values[place]): place for place in unread}
    missing = Counter({word: int(counts[at]) for word, at in words.items() if is_missing(word)})
    others = [place for word, place in words.items() if word not in missing]
    rows = np.flatnonzero(np.isin(cells.places, others))
    if others and declared == "number":
        raise _no_number(index, column, int(rows[0]), texts)
    known = int(counts[[number is not None for number in numbers]].sum())
    if others or (missing and not known and not declared):
        is_other = [word for word in words if word not in missing and is_foreign(word)]
        foreign = sum(int(counts[words[word]]) for word in is_other)
        return _categories(index, column, texts, rows, known, foreign)
    told = [*_of_numbers(column, cells, counts, missing, is_declared=declared is not None)]
    note = "; ".join(["is read as numbers", *told]) if told else ""
    found = pl.Series(numbers, dtype=pl.Float64).gather(cells.places)
    return Column(found, "number", note, " (declared)" if declared else "")


def _of_numbers(
    column: str,
    cells: Distinct[str | None],
    counts: npt.NDArray[np.int64],
    missing: Counter[str],
    *,
    is_declared: bool,
) -> Iterator[str]:
    """What is to say of a column of numbers: cells that are missing, and codes that lose a zero."""
    words = [f"{counted(count, 'cell')} {word!r}" for word, count in missing.most_common()]
    if words:
        yield f"missing: {some(words, 5)}"
    codes = [place for place, text in enumerate(cells.values) if text and has_leading_zero(text)]
    if codes and not is_declared:
        number, first = int(counts[codes].sum()), cells.values[codes[0]]
        yield (
            f"a 0 at the beginning is lost in {counted(number, 'cell')}, as {first!r}; "
            f'kinds = {{ {toml_key(column)} = "category" }} keeps codes'
        )


def _categories(
    index: Index,
    column: str,
    texts: pl.Series,
    others: npt.NDArray[np.int64],
    known: int,
    foreign: int,
) -> Column:
    """A column in which these rows, from 0, say no number; some of them a number otherwise."""
    rows = others if others.size else texts.is_not_null().arg_true().to_numpy()
    shown = [
        f"{texts[row]!r:.40} in row {index.places.row(row + 1)}" for row in rows[:SHOWN].tolist()
    ]
    count, share = known + len(others), len(others) / max(1, known + len(others))
    if foreign and foreign + known >= FOREIGN_SHARE * count:
        seen = f"{foreign:,} of {count:,} cells have separators of thousands or decimal commas"
        step = "written as 1234 or 3.5 they would be numbers"
    elif known and share <= SUSPICIOUS_SHARE:
        seen = f"{len(others):,} of {count:,} cells are no numbers"
        step = f'kinds = {{ {toml_key(column)} = "number" }} refuses them, "category" means them'
    else:
        return Column(texts, "category", why=f" ({shown[0]})")
    more = f" and {len(rows) - SHOWN:,} more" if len(rows) > SHOWN else ""
    note = f"is read as categories: {seen} ({', '.join(shown)}{more}); {step}"
    return Column(texts, "category", note)


def _no_number(index: Index, column: str, row: int, texts: pl.Series) -> DataError:
    text = str(texts[row])
    foreign = "; separators of thousands and decimal commas are not read" * is_foreign(text)
    return DataError(
        explain(
            index.places.of(row + 1, column),
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
