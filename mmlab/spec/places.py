"""Where the parts of a spec come from - files and overrides - and faults shown at their places."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mmlab.errors import harmless
from mmlab.spec.faults import Fault, Where, dotted
from mmlab.spec.positions import Span

#: Characters of a source line that are shown; of a longer one, the part around the fault.
_LINE_CHARACTERS = 110
#: Characters of a dotted path that are shown.
_PATH_CHARACTERS = 200
#: Faults that are written out: far more than anybody mends at a time.
_FAULTS_SHOWN = 200


@dataclass(frozen=True)
class SourceText:
    """A text that settings come from: a file, or an override given on the command line."""

    name: str
    text: str
    is_override: bool = False

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, counted from 1.

        >>> SourceText("a.toml", "a = 1\\nb = 2").line_and_column(10)
        (2, 5)
        """
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """A line of the text, counted from 1, without its end."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]


class Place(NamedTuple):
    """A key and its value in a source."""

    source: SourceText
    key: Span
    value: Span


Places = Mapping[Where, Place]


def render_located(faults: Iterable[tuple[Fault, Place]]) -> str:
    """Each fault as `file:line:column: path: fault`, source line, caret, and what to do."""
    found = [
        (place.source, place.key if fault.at_key else place.value, fault) for fault, place in faults
    ]
    first = {source.name: rank for rank, (source, _, _) in reversed([*enumerate(found)])}
    found.sort(key=lambda item: (*_order(item[0], first), item[1].start))
    shown = list(dict.fromkeys(_render(*item) for item in found[:_FAULTS_SHOWN]))
    if len(found) > _FAULTS_SHOWN:
        shown.append(f"and {len(found) - _FAULTS_SHOWN:,} more faults")
    return "\n\n".join(shown)


def _order(source: SourceText, first: Mapping[str, int]) -> tuple[int, int]:
    """Overrides by number, then files as they first occur."""
    if source.is_override:
        return 0, int(source.name.rpartition("#")[2])
    return 1, first[source.name]


def _render(source: SourceText, span: Span, fault: Fault) -> str:
    path = _cut(dotted(fault.path))
    parts = {"found": fault.found, "allowed": fault.allowed, "next": fault.next_step}
    told = [f"  {name}: {text}" for name, text in parts.items() if text]
    message = f"{path}: {fault.message}" if path else fault.message
    return _render_lines(source, span, [*message.splitlines(), *told])


def render_explained(place: Place, message: str, *, at_key: bool = False) -> str:
    """An explained message with its position before the first line, and the source line after."""
    span = place.key if at_key else place.value
    return _render_lines(place.source, span, message.splitlines())


def _render_lines(source: SourceText, span: Span, told: Sequence[str]) -> str:
    headline, *details = told
    lines = [
        f"{describe_place(source, span.start)}: {headline}",
        *(snippet(source, span) if source.text else ()),
        *details,
    ]
    return "\n".join(harmless(line, keep="\t") for line in lines)


def _cut(path: str) -> str:
    return path if len(path) <= _PATH_CHARACTERS else path[: _PATH_CHARACTERS - 3] + "..."


def describe(place: Place) -> str:
    """`file:line:column` of a value, or of a table's header."""
    return describe_place(place.source, place.value.start)


def describe_place(source: SourceText, offset: int) -> str:
    """`file:line:column`, or the column of an override; both count from 1."""
    if not source.text:
        return source.name
    line, column = source.line_and_column(offset)
    if source.is_override:
        return f"{source.name}, column {column}"
    return f"{source.name}:{line}:{column}"


def snippet(source: SourceText, span: Span) -> list[str]:
    """The source line of a span, and carets below as much of the span as is on that line."""
    line, column = source.line_and_column(span.start)
    content = source.line(line)
    first = column - 1
    last = max(first + 1, min(first + span.end - span.start, len(content)))
    cut = max(0, first - _LINE_CHARACTERS // 2)
    shown = content[cut : cut + _LINE_CHARACTERS]
    before, under = shown[: first - cut], shown[first - cut : last - cut]
    gutter = " " * len(str(line))
    padding = "".join("\t" if c == "\t" else " " * _width(c) for c in before)
    carets = "^" * max(1, sum(map(_width, under)))
    return [f"  {line} | {shown}", f"  {gutter} | {padding}{carets}"]


def _width(character: str) -> int:
    """Columns a character takes in a terminal."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
