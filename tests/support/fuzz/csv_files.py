"""CSV files as spreadsheets, scripts and editors leave them, and a plain reader of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.fuzz.outcome import Unclear
from support.fuzz.roles import PATHS, columns, options_for, rows_of

TEXTS = [
    *("a cat", "", "", " ", " a dog ", "a, b; c", 'she said "hi"', "two\nlines", "cr\rhere"),
    *("é 🙂", "nan", "N/A", "1,234", "[]", "a|b", "tab\there", "x" * 4096, "null", "\u2028", "'"),
]
#: What no caption may hold, and what looks like damage.
RARE = ["x" * 4097, "nul\0", "\ufeffbom", '"', "\x1a"]
_text = st.sampled_from(TEXTS) | st.text(max_size=8)
_cell = ["1", "2.5", "-3e2", "", "nan", "N/A", "?", " ", "007", "+.5", "5.", "٣", "12", "0"]
_target = ["1", "2.5", "-3e2", "", "NaN", "n/a", "-", "0", "1e3", "7", "8"]
CELLS = {
    "caption": _text,
    "label": st.sampled_from(["cat", "dog", "Cat", "dog ", "", "nan", "cat|dog", "[]", "007"]),
    "id": st.uuids().map(str),
    "image": st.sampled_from(PATHS),
    "cell": st.sampled_from(_cell),
    "target": st.sampled_from(_target),
    "sample": st.sampled_from(["p", "q", "", "r"]),
    "split": st.sampled_from(["train", "train", "validation", "test"]),
    "other": _text,
}
#: Cells that make a column another kind, or that nobody can read.
ODD = {
    "caption": st.sampled_from([*TEXTS, *RARE]),
    "label": st.sampled_from(["cat", "dog", "|", "cat|[]", " | ", "x" * 4097]),
    "id": st.integers(0, 99).map(str) | _text,
    "image": st.sampled_from([*PATHS, "no.png", "../a.png", "sub", " a.png", "a\0.png", "x" * 300]),
    "cell": st.sampled_from([*_cell, "1,234", "1_0", "red", "inf", "12 kg", "1e999"]),
    "target": st.sampled_from([*_target, "inf", "1e999", "x"]),
    "split": st.sampled_from(["train", "test", "", "val", "Train", "train "]),
    "other": st.sampled_from([*TEXTS, *RARE]),
}
ENCODINGS = ["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "latin-1"]
#: Encodings that a file's first bytes always tell.
KNOWN = ("utf-8", "utf-8-sig", "utf-16", "utf-32")


class CsvFile(NamedTuple):
    """A file's bytes, the encoding that it was written in, and what a spec names of it."""

    content: bytes
    encoding: str
    options: dict[str, Any]


@st.composite
def csv_files(draw: st.DrawFn) -> CsvFile:
    """A table in some dialect and encoding, now and then damaged."""
    named = draw(columns())
    odd = {role: ODD[role] for _, role in named if role in ODD and draw(st.integers(0, 5)) == 0}
    rows = draw(rows_of(CELLS | odd, named))
    header = [name for name, _ in named]
    if draw(st.integers(0, 5)) == 0:  # an index of pandas, or a column that nobody named
        header, rows = ["", *header], [[str(n), *row] for n, row in enumerate(rows)]
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=draw(st.sampled_from(",,,,;\t|")),
        lineterminator=draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows([header, *rows])
    text = draw(_damaged(file.getvalue()))
    encoding = draw(st.sampled_from(ENCODINGS))
    options = options_for(named)
    if options.get("label_column") and draw(st.booleans()):
        options["label_separator"] = "|"
    if "sample_column" not in options and draw(st.booleans()):
        options["rows"] = "samples"
    return CsvFile(text.encode(encoding, "replace"), encoding, options)


@st.composite
def _damaged(draw: st.DrawFn, text: str) -> str:
    """The text, mostly as it is; else with something put in, taken out, or cut off."""
    kind = draw(st.integers(0, 20))
    at = draw(st.integers(0, len(text)))
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind <= 3:
        piece = st.sampled_from(['"', ",", "\n", "\n\n", "  \n", ",,\n", "\r\n", "\0", ", "])
        return text[:at] + draw(piece) + text[at:]
    if kind == 4:
        before = ["\n", "  \n", "\r\n\r\n", "sep=,\n", "sep=;\r\n", "sep=\r\n", 'sep="\n', "sep=\n"]
        return draw(st.sampled_from(before)) + text
    if kind == 5:
        return text + draw(st.sampled_from(["\n\n", ",\n", "\x1a", text, '"\n', "   "]))
    return text


def read_plainly(content: bytes, encoding: str) -> tuple[list[dict[str, str]], int]:
    """The rows of the file by Python's csv module, and how many rows of empty cells are none.

    Raises Unclear where that module finds no rows of one width.
    """
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Unclear("its bytes are no text") from error
    lines = text.splitlines(keepends=True) if "\n" in text else text.split("\r")
    first = next((line for line in lines if line.strip()), "").strip("\r\n")
    separator = _separator(first)
    if first.startswith("sep=") and len(first.strip()) == 5 and first[4] != '"':
        separator, text = first[4], text[text.index(first) + len(first) :]
    records = _records(text, separator)
    header = next(filter(_is_filled, records), [])
    names = [name.strip() for name in header]
    if len({*names} - {""}) < len([name for name in names if name]):
        raise Unclear("two columns have one name")
    rows, empty = [], 0
    for cells in records:
        if cells == names and len(names) > 1:
            raise Unclear("the header is there twice")
        if len(cells) != len(names):
            raise Unclear("a row has too many cells, or too few")
        if len(names) == 1 or any(cell.strip() for cell in cells):
            rows.append({n: cell for n, cell in zip(names, cells, strict=True) if n})
        else:
            empty += 1
    return rows, empty


def _separator(header: str) -> str:
    """The comma where the header has one, else what makes the most cells of it."""
    counts = {one: len(next(csv.reader([header], delimiter=one), [])) for one in ",;\t|"}
    return "," if counts[","] > 1 else max(counts, key=lambda one: counts[one])


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """All records but blank lines."""
    header = next(
        filter(_is_filled, csv.reader(io.StringIO(text, newline=""), delimiter=separator)), []
    )
    spaced = any(name.startswith(" ") for name in header[1:])
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=spaced
    )
    try:
        yield from (
            cells
            for cells in reader
            if len(cells) > 1 or _is_filled(cells) or (cells and len(header) == 1)
        )
    except csv.Error as error:
        raise Unclear(f"quotes: {error}") from error


def _is_filled(cells: list[str]) -> bool:
    return any(map(str.strip, cells))
