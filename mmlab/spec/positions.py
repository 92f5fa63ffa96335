"""Where every key and value of a TOML text is.

`tomllib` gives values without positions. `locate` runs after it has accepted the text, so it only
has to find tokens, not to judge them.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from mmlab.spec.faults import Where


class Span(NamedTuple):
    """A stretch of a text, as character offsets."""

    start: int
    end: int


class Located(NamedTuple):
    """Where a key and its value are. A table with a header has the header as its value.

    Elements of arrays have no key; there `key` is the value.
    """

    key: Span
    value: Span


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
_SPACE = re.compile(r"[ \t]*+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: Numbers, booleans and dates; a date and its time may be separated by a space.
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#]+")


def locate(text: str) -> dict[Where, Located]:
    """Positions of all keys and values of a text that `tomllib.loads` accepts.

    An array of tables is where its first header is; a table that is only implied by a longer key is
    where that key first names it.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def locate_open(text: str) -> tuple[dict[Where, Located], Where]:
    """As `locate`, and the table that is open at the end of the text."""
    scanner = _Scanner(text)
    table = scanner.document()
    return scanner.found, table


def split_path(text: str) -> tuple[tuple[str, ...], int]:
    """A dotted key at the start of a text, and where it ends. Raises ValueError if there is none.

    >>> split_path('sweep.axes."train.lr"=[1]')
    (('sweep', 'axes', 'train.lr'), 21)
    """
    scanner = _Scanner(text)
    scanner.skip(_SPACE)
    names = tuple(name for name, _ in scanner.key())
    return names, scanner.position


class _Scanner:
    """One pass over a text; `found` grows as it goes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.found: dict[Where, Located] = {}
        self.table_counts: dict[Where, int] = {}

    def document(self) -> Where:
        """Pass over all of the text; the table that is open at its end."""
        table: Where = ()
        self.skip(_BLANK)
        while self.position < len(self.text):
            if self.peek() == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)
        return table

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def skip(self, pattern: re.Pattern[str]) -> Span:
        """Move past a match, which must be there."""
        match = pattern.match(self.text, self.position)
        if match is None:
            raise ValueError(f"unexpected text at character {self.position + 1}")
        self.position = match.end()
        return Span(match.start(), match.end())

    def key(self) -> list[tuple[str, Span]]:
        """The parts of a dotted key, each with its place."""
        parts = [self.key_part()]
        self.skip(_SPACE)
        while self.peek() == ".":
            self.position += 1
            self.skip(_SPACE)
            parts.append(self.key_part())
            self.skip(_SPACE)
        return parts

    def key_part(self) -> tuple[str, Span]:
        is_quoted = self.peek() in ('"', "'")
        span = self.skip(_STRING if is_quoted else _BARE_KEY)
        text = self.text[span.start : span.end]
        if "\\" in text:
            return str(tomllib.loads(f"key = {text}")["key"]), span
        return (text[1:-1] if is_quoted else text), span

    def header(self) -> Where:
        """A `[table]` or `[[array of tables]]` header; the path of the table it opens."""
        start = self.position
        width = 2 if self.text.startswith("[[", start) else 1
        self.position += width
        self.skip(_SPACE)
        parts = self.key()
        self.position += width
        span = Span(start, self.position)
        path: Where = ()
        for name, key in parts[:-1]:
            path = self.latest((*path, name))
            self.found.setdefault(path, Located(key, span))
        name, key = parts[-1]
        path = (*path, name)
        if width == 1:
            self.found[path] = Located(key, span)
            return path
        self.found.setdefault(path, Located(key, span))
        self.table_counts[path] = self.table_counts.get(path, 0) + 1
        path = self.latest(path)
        self.found[path] = Located(key, span)
        return path

    def latest(self, path: Where) -> Where:
        """The path, or its latest element where it is an array of tables."""
        count = self.table_counts.get(path)
        return path if count is None else (*path, count - 1)

    def pair(self, table: Where) -> None:
        """`key = value`; the key may be dotted."""
        parts = self.key()
        self.position += 1  # the equals sign
        self.skip(_SPACE)
        path = (*table, *(name for name, _ in parts))
        value = self.value(path)
        for depth, (_, key) in enumerate(parts, start=len(table) + 1):
            self.found.setdefault(path[:depth], Located(key, value))

    def value(self, path: Where) -> Span:
        first = self.peek()
        if first == "[":
            return self.array(path)
        if first == "{":
            return self.inline_table(path)
        return self.skip(_STRING if first in ('"', "'") else _SCALAR)

    def array(self, path: Where) -> Span:
        start, count = self.position, 0
        self.position += 1
        while not self.is_closed("]"):
            value = self.value((*path, count))
            self.found[(*path, count)] = Located(value, value)
            count += 1
        return Span(start, self.position)

    def inline_table(self, path: Where) -> Span:
        start = self.position
        self.position += 1
        while not self.is_closed("}"):
            self.pair(path)
        return Span(start, self.position)

    def is_closed(self, closing: str) -> bool:
        """Move to the next element, or past the end of the array or inline table."""
        self.skip(_BLANK)
        if self.peek() == ",":
            self.position += 1
            self.skip(_BLANK)
        if self.peek() != closing:
            return False
        self.position += 1
        return True
