"""A table that lists samples: its cells as checked Python values, and the place of each row."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.celltypes import as_lists, as_names, is_list, is_text, offer_fields, pick

TEXT_BYTES = 4096


@dataclass(frozen=True)
class Places:
    """Where rows are in a file, for the first part of a message. Rows count from 1.

    `lines` has the line of every row where the number of the row does not tell it.
    """

    path: Path
    lines: Sequence[int] | None = None

    def of(self, row: int, column: str | None, *, with_line: bool = False) -> str:
        """One row; its line too where that is another number, or is asked for."""
        line = f" (line {row})" if with_line and self.lines is None else ""
        return f"{self.path}: row {self.row(row)}{line}, column {column!r}"

    def of_both(self, one: int, other: int, column: str | None) -> str:
        """Two rows that do not go together."""
        return f"{self.path}: rows {self.row(one)} and {self.row(other)}, column {column!r}"

    def row(self, row: int) -> str:
        """The number of a row, with its line where that is needed."""
        return f"{row}" if self.lines is None else f"{row} (line {self.lines[row - 1]})"


@dataclass(frozen=True)
class Index:
    """A table and where it came from; a header line is no row.

    `lines` has the line of every row where its number does not tell it. `notes` tell how it was
    read. `faults` are errors of single columns, raised where one is asked for: what nobody asks for
    may be as it is. `jsons` are those among them that `nested` reads: lists of lists, as JSON.
    """

    path: Path
    table: pl.DataFrame
    lines: Sequence[int] | None = None
    notes: Sequence[str] = ()
    faults: Mapping[str, DataError] = field(default_factory=dict)
    jsons: frozenset[str] = frozenset()

    @property
    def places(self) -> Places:
        """Where its rows are."""
        return Places(self.path, self.lines)

    def __len__(self) -> int:
        """Number of rows."""
        return self.table.height

    def cells(self, column: str | None) -> list[str | None]:
        """A column of texts or whole numbers as text; None where a cell is empty, or no column."""
        return [None] * len(self) if column is None else self.texts(column).to_list()

    def texts(self, column: str) -> pl.Series:
        """The same as a column of texts, null where a cell is empty."""
        texts = self._texts(column, self.series(column))
        empty = (texts == "").arg_true()
        return texts if empty.is_empty() else texts.scatter(empty, None)

    def files(self, column: str) -> pl.Series:
        """The names of files in a column. Raises DataError where every cell is empty."""
        cells = self.texts(column)
        if cells.null_count() < len(cells):
            return cells
        raise DataError(
            explain(
                f"{self.path}: column {column!r}",
                "no cell names a file",
                found=f"{len(self)} empty cells; {self.series(column).dtype}",
                allowed="names of files; empty cells where some rows have none",
                next_step="name another column in [dataset], or leave this one out",
            )
        )

    def lists(self, column: str, separator: str | None = None) -> list[tuple[str, ...]]:
        """A column of lists, or of text that `separator` parts; a text alone is a list of one."""
        return self._lists(column, self.series(column), separator)

    def labels(self, column: str, separator: str | None = None) -> list[tuple[str, ...]]:
        """The same, where booleans are "true" and "false", and 3.0 is 3, as pandas writes it."""
        return self._lists(column, as_names(self.series(column)), separator)

    def nested(self, column: str) -> list[object]:
        """Cells of lists, which may hold lists; None where one is empty.

        A text is read as JSON, and given as it is where it is none: whoever asks says what it is.
        """
        series = self.table[column] if column in self.jsons else self.series(column)
        if series.dtype == pl.String:
            return [None if text is None else _decoded(text) for text in series]
        return series.to_list()

    def names(self, column: str) -> pl.Series:
        """A column of one label a row as texts, read as `labels` reads it."""
        return self._texts(column, as_names(self.series(column)))

    def _lists(
        self, column: str, series: pl.Series, separator: str | None
    ) -> list[tuple[str, ...]]:
        if is_list(series.dtype):
            return self._listed(column, as_lists(series))
        cells = [cell or "" for cell in self._texts(column, series).to_list()]
        if separator:
            return [_stripped(cell.split(separator)) for cell in cells]
        return [(text,) if (text := cell.strip()) else () for cell in cells]

    def holds_lists(self, column: str | None) -> bool:
        """True where the column has the list type of JSONL or Parquet."""
        return column is not None and is_list(self.series(column).dtype)

    def series(self, column: str) -> pl.Series:
        """A column as it was read, or the field `column.field` of one that holds structs.

        Raises DataError, with the nearest name, where there is none.
        """
        if column in self.faults:
            raise self.faults[column]
        found = pick(self.table, column)
        if found is not None:
            return found
        known = self.table.columns
        if column in known or column.strip() in known:  # a header's names are without blanks
            return self.table[column if column in known else column.strip()]
        raise DataError(
            explain(
                str(self.path),
                f"there is no column {column!r}{nearest(column, known)}",
                found=", ".join(map(repr, known)),
                allowed="the name of a column",
                next_step="name an existing column in the spec, or add this one to the file",
            )
        )

    def _listed(self, column: str, series: pl.Series) -> list[tuple[str, ...]]:
        rows = pl.DataFrame({"row": range(1, len(self) + 1), "cell": series}).explode("cell")
        texts = self._texts(column, rows["cell"], rows["row"])
        found: list[list[str]] = [[] for _ in range(len(self))]
        for row, text in zip(rows["row"], texts, strict=True):
            found[row - 1].append(text or "")
        return [_stripped(parts) for parts in found]

    def _texts(self, column: str, series: pl.Series, rows: pl.Series | None = None) -> pl.Series:
        dtype = series.dtype
        if not (is_text(dtype) or dtype == pl.Null or dtype.is_integer()):
            raise DataError(
                explain(
                    f"{self.path}: column {column!r}",
                    "its cells are neither text nor whole numbers",
                    found=str(self.series(column).dtype),
                    allowed="text, whole numbers, or lists of them for labels and captions",
                    next_step=offer_fields(column, dtype) or "write the column as text",
                )
            )
        texts = series.cast(pl.String)
        self._check_texts(column, texts, rows)
        return texts

    def _check_texts(self, column: str, texts: pl.Series, rows: pl.Series | None) -> None:
        faulty = texts.str.contains("\0", literal=True) | (texts.str.len_bytes() > TEXT_BYTES)
        found = faulty.fill_null(False).arg_true()
        if found.is_empty():
            return
        row = found[0] + 1 if rows is None else rows[found[0]]
        text = texts[found[0]]
        raise DataError(
            explain(
                self.places.of(row, column),
                "the text holds a NUL" if "\0" in text else "the text is too long",
                found=f"{len(text.encode())} bytes, {text[:40]!r}{'...' * (len(text) > 40)}",
                allowed=f"at most {TEXT_BYTES} bytes of text without NUL",
                next_step="correct the cell",
            )
        )


def _decoded(text: str) -> object:
    """What JSON in a cell says; the text itself where it is none, and None where it is blank."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _stripped(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in parts if part.strip())


def nearest(name: str, known: Iterable[str]) -> str:
    """The question that suggests a known name like this one, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f' (did you mean "{found[0]}"?)' if found else ""
