"""Where the text of an index is damaged: the line, what is wrong with it, and how to mend it.

Polars says of a file that it cannot be parsed, seldom where; this reads it once more, slowly.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

ONE_TABLE = "columns whose cells have one type, as its writer made them"


@dataclass(frozen=True)
class Damage:
    """The parts of a message; `where` follows the name of the file."""

    where: str
    fault: str
    found: object
    allowed: str
    next_step: str


def find_damage(ending: str, content: bytes, said: str) -> Damage:
    """What is wrong with a file of this ending that Polars refused with these words."""
    if ending == ".parquet":
        whole = "a whole Parquet file"
        return Damage("", "it is damaged", said, whole, "write or copy the file anew")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _no_utf8(content, error)
    found = _csv_damage(text) if ending == ".csv" else _jsonl_damage(text)
    return found or Damage("", "it is damaged", said, ONE_TABLE, "correct the file")


def repeated_columns(content: bytes) -> Damage | None:
    """The names that the header of a CSV file has more than once, if any."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="replace", newline="")
    try:
        header = next(csv.reader(text), [])
    except csv.Error:
        return None
    repeated = [name for name, count in Counter(header).items() if count > 1 and name]
    if not repeated:
        return None
    names = ", ".join(map(repr, repeated))
    step = "rename or remove the columns that repeat a name"
    return Damage(": header", "a column is named more than once", names, "every name once", step)


def _no_utf8(content: bytes, error: UnicodeDecodeError) -> Damage:
    start = content.rfind(b"\n", 0, error.start) + 1
    line = content.count(b"\n", 0, error.start) + 1
    near = content[max(start, error.start - 20) : error.start + 10].splitlines()[0]
    return Damage(
        f": line {line}",
        "it is damaged: a byte is no UTF-8",
        f"{near!r}, byte {error.start - start + 1} of the line",
        "text in UTF-8",
        "save the file as UTF-8; it may be in Latin-1 or Windows-1252 now",
    )


def _csv_damage(text: str) -> Damage | None:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start, width = 1, 0
    try:
        for row, record in enumerate(reader):  # the header is row 0
            width = width or len(record)
            if len(record) > width:
                return _too_wide(row, start, len(record), width)
            start = reader.line_num + 1
    except csv.Error as error:
        return Damage(
            f": line {start}",
            "it is damaged: the quotes of its cells cannot be understood",
            error,
            'cells that begin and end with ", or have none; a " within is written twice',
            f"correct the quotes of the row that begins on line {start}",
        )
    return None


def _too_wide(row: int, line: int, count: int, width: int) -> Damage:
    return Damage(
        f": row {row} (line {line})",
        "it is damaged: the row has more cells than the header has columns",
        f"{count} cells",
        f"{width}, one for each column of the header",
        'put cells that hold a comma into quotes ("a, b"), or correct the row',
    )


def _jsonl_damage(text: str) -> Damage | None:
    for number, line in _lines(text):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _no_object(number, f"{error}: {line[:40]!r}")
        if not isinstance(value, dict):
            return _no_object(number, repr(line[:40]))
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    lines = enumerate(text.split("\n"), start=1)
    return ((number, line.strip()) for number, line in lines if line.strip())


def _no_object(number: int, found: str) -> Damage:
    return Damage(
        f": line {number}",
        "it is damaged: the line is no JSON object",
        found,
        'one object a line, such as {"image": "a.png", "text": "a cat"}',
        "correct the line",
    )
