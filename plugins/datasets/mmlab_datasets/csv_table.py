"""A CSV file as a table, read strictly: quotes in pairs, and in every row the header's cells."""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from mmlab_datasets.damage import bad_quotes, damaged, header_again, wrong_width
from mmlab_datasets.encoding import UTF_8, Encoding, find_encoding, open_text, undecodable
from mmlab_datasets.index import Index
from mmlab_datasets.wording import counted, some

CHUNK_ROWS = 20_000
#: What may be between cells, and what it is called.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def read_csv(path: Path, content: bytes) -> Index:
    """The table of a CSV or TSV file, every cell as text: 007 stays 007.

    The separator is the comma, or what parts a header without commas; UTF-16 and line ends of all
    kinds are read. Blank lines, and rows whose every cell is empty, are no rows. Raises DataError
    with the line where quotes are unbalanced or a row has too few or too many cells.
    """
    encoding = find_encoding(content)
    try:
        with _cells_of_any_size(len(content)):
            return _read(path, content, encoding)
    except UnicodeDecodeError as error:
        raise undecodable(path, content, encoding) from error


@contextmanager
def _cells_of_any_size(limit: int) -> Iterator[None]:
    """Let the csv module read cells over its own limit, which is for the whole process."""
    before = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Record(NamedTuple):
    """One record of a file, and the first and last line that it is on."""

    first: int
    last: int
    cells: list[str]


_NONE = _Record(1, 1, [])


@dataclass
class _Found:
    """What reading met on its way: the line of each row, and what a user should be told."""

    lines: array[int] = field(default_factory=lambda: array("q"))
    empty: list[int] = field(default_factory=list)
    broken: list[_Record] = field(default_factory=list)


def _read(path: Path, content: bytes, encoding: Encoding) -> Index:
    layout = _find_layout(path, open_text(content, encoding, newline=""))
    records = _records(path, open_text(content, encoding, newline=""), layout)
    header = next((record for record in records if any(map(str.strip, record.cells))), _NONE)
    names = [name.strip() for name in header.cells]
    _check_header(path, names)
    found = _Found()
    rows = _rows(path, records, names, layout.separator, found)
    chunks = iter(lambda: list(islice(rows, CHUNK_ROWS)), [])
    frames = [_frame(names, chunk) for chunk in chunks]
    table = pl.concat(frames, rechunk=True) if frames else pl.DataFrame()
    is_plain = all(line == row for row, line in enumerate(found.lines, start=2))
    notes = _notes(path, encoding, layout, found)
    return Index(path, table, None if is_plain else found.lines, notes)


class _Layout(NamedTuple):
    """What is between cells, whether a blank follows it, and the lines before the header."""

    separator: str
    is_spaced: bool = False
    lines_before: int = 0


def _find_layout(path: Path, lines: Iterator[str]) -> _Layout:
    """The layout that the first line with anything on it tells."""
    first = next((line for line in lines if line.strip()), "")
    if told := re.fullmatch(r"sep=([^\s\"]|\t)\s*", first):  # written by Excel
        return _Layout(told[1], lines_before=1)
    headers = {key: next(csv.reader([first], delimiter=key), []) for key in SEPARATORS}
    separator = "," if len(headers[","]) > 1 else max(headers, key=lambda key: len(headers[key]))
    if path.suffix.lower() == ".tsv":
        separator = "\t"
    return _Layout(separator, any(name.startswith(" ") for name in headers[separator][1:]))


def _records(path: Path, lines: Iterator[str], layout: _Layout) -> Iterator[_Record]:
    """The records that are no blank lines."""
    left_out = len(list(islice(lines, layout.lines_before)))
    reader = csv.reader(
        lines, delimiter=layout.separator, skipinitialspace=layout.is_spaced, strict=True
    )
    last = left_out
    try:
        for cells in reader:
            first, last = last + 1, left_out + reader.line_num
            if cells:
                yield _Record(first, last, cells)
    except csv.Error as error:
        raise bad_quotes(path, last + 1, left_out + reader.line_num, error) from error


def _check_header(path: Path, names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if not repeated:
        return
    raise damaged(
        path,
        ": header",
        "a column is named more than once",
        found=", ".join(map(repr, repeated)),
        allowed="every name once",
        next_step="rename or remove the columns that repeat a name",
    )


def _rows(
    path: Path, records: Iterator[_Record], names: list[str], separator: str, found: _Found
) -> Iterator[list[str]]:
    """The rows, each checked; what there is to say of them goes to `found`."""
    width = len(names)
    for record in records:
        cells, row = record.cells, len(found.lines) + 1
        if len(cells) != width:
            if len(cells) == 1 and not cells[0].strip():
                continue  # a line of blanks
            raise wrong_width(path, row, record.first, (len(cells), width), separator)
        if width > 1 and not any(map(str.strip, cells)):
            found.empty.append(record.first)  # a blank line as a spreadsheet writes it
            continue
        if width > 1 and cells == names:
            raise header_again(path, row, record.first)
        if record.last > record.first:
            found.broken.append(record)
        found.lines.append(record.first)
        yield cells


def _frame(names: Sequence[str], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    """Rows as a table of texts, without the columns that have no name."""
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return pl.DataFrame([pl.Series(name, cells, pl.String) for name, cells in columns if name])


def _notes(path: Path, encoding: Encoding, layout: _Layout, found: _Found) -> tuple[str, ...]:
    notes, separator = [], layout.separator
    if encoding is not UTF_8:
        notes.append(f"{path}: its text is read as {encoding.name}")
    if separator != "," and path.suffix.lower() != ".tsv":
        between = SEPARATORS.get(separator, repr(separator))
        notes.append(f"{path}: its cells are read as separated by {between}")
    if found.empty:
        rows = counted(len(found.empty), "row")
        notes.append(f"{path}: left out {rows} of empty cells alone (line {some(found.empty)})")
    if found.broken:
        rows, longest = counted(len(found.broken), "row"), max(found.broken, key=_length)
        notes.append(
            f"{path}: {rows} with line breaks within quotes; the longest is on lines "
            f"{longest.first} to {longest.last}"
        )
    joined = [record for record in found.broken if _looks_joined(record, separator)]
    if joined:
        notes.append(
            f"{path}: lines {joined[0].first} to {joined[0].last} are one row by their quotes, and "
            f"would be rows each without ({counted(len(joined), 'such place')}): is it a mistake?"
        )
    return tuple(notes)


def _length(record: _Record) -> int:
    return record.last - record.first


def _looks_joined(record: _Record, separator: str) -> bool:
    """True where each line of a record has as many separators as a row has."""
    lines, between = separator.join(record.cells).splitlines(), len(record.cells) - 1
    return between > 0 and all(line.count(separator) == between for line in lines)
