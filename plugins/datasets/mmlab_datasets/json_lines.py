"""A JSONL file as a table: one object a line, its keys the columns, each of one kind of cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mmlab_datasets.damage import key_twice, no_object
from mmlab_datasets.encoding import UTF_8, Encoding, find_encoding, open_text, undecodable
from mmlab_datasets.index import Index, Places
from mmlab_datasets.json_cells import Columns

CHUNK_ROWS = 20_000
_BLANK = " \t\r\n\N{ZERO WIDTH NO-BREAK SPACE}"


def read_jsonl(path: Path, content: bytes) -> Index:
    """The table of a JSONL file; a key that an object lacks, and null, are an empty cell.

    A column whose cells are text here and a list there is one of lists; text and numbers together
    are text. Raises DataError with the line for one that is no object; columns of other mixtures,
    and of NaN, which is no JSON, are faults of the index.
    """
    encoding = find_encoding(content)
    try:
        columns = _read(path, content, encoding, Columns())
        if not columns.are_alike:  # what a cell is depends on all others of its column
            columns = _read(path, content, encoding, Columns(columns.kinds()))
    except UnicodeDecodeError as error:
        raise undecodable(path, content, encoding) from error
    is_plain = all(line == row for row, line in enumerate(columns.lines, start=1))
    lines = None if is_plain else columns.lines
    notes = [] if encoding is UTF_8 else [f"{path}: its text is read as {encoding.name}"]
    faults = columns.faults(Places(path, lines))
    return Index(path, columns.table(), lines, notes, faults, columns.nested)


def _read(path: Path, content: bytes, encoding: Encoding, columns: Columns) -> Columns:
    objects = _objects(path, open_text(content, encoding, newline=None))
    while chunk := list(islice(objects, CHUNK_ROWS)):
        columns.add(chunk)
    return columns


def _objects(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, str, dict[str, object]]]:
    """Each object with its line, as a number and as text."""
    decode = json.JSONDecoder(object_pairs_hook=unique_keys).decode
    for number, whole in enumerate(lines, start=1):
        line = whole.strip(_BLANK)
        if not line:
            continue
        try:
            value = decode(line)
        except KeyTwice as error:
            raise key_twice(path, number, error.key) from error
        except (ValueError, RecursionError) as error:
            raise no_object(path, number, f"{error}: {line[:40]!r}") from error
        if not isinstance(value, dict):
            raise no_object(path, number, repr(line[:40]))
        yield number, line, value


class KeyTwice(Exception):
    """An object of JSON has one key more than once."""

    def __init__(self, key: str) -> None:
        self.key = key


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON of its pairs. Raises KeyTwice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        raise KeyTwice(next(key for key in names if names.count(key) > 1))
    return found
