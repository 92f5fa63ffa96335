"""Limits on what is read as a spec, checked before it is parsed: nothing crafted may take long.

tomllib recurses once per level, takes seconds for long dotted keys, and accepts NUL escapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mmlab.faults import Fault, Where, show
from mmlab.locate import Span

FILE_BYTES = 1024 * 1024
NESTING = 32
KEYS = 10_000
VALUES_PER_KEY = 5  # commas, that is: of arrays, which may hold thousands of labels

_INTEGERS = range(-(2**63), 2**63)

#: NUL, and what stands for bytes of the command line that are not UTF-8.
_UNFIT = re.compile("[\x00\ud800-\udfff]")

#: Strings and comments, skipped whole; then what can nest or begin a key. An unclosed string ends
#: with its line or the text, so that every text, valid or not, is passed over once.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*+(?:"{3,5}|\\?\Z)?'
    r"|'''(?:[^']|'{1,2}(?!'))*+(?:'{3,5})?"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+"
    r"|(?P<mark>[\[\]{}=.,\n])"
)


def limit_fault(text: str) -> tuple[Fault, Span] | None:
    """The first place where a text nests too deeply or holds too much, if there is one.

    Counts tokens without judging the text; tomllib does that. Every part of a dotted key counts.
    """
    brackets: list[str] = []
    dots = keys = values = 0
    previous, is_key = "\n", True
    for match in _TOKEN.finditer(text):
        mark = match["mark"] or ""
        is_header = mark == "[" and (brackets, previous) in (([], "\n"), (["["], "header"))
        keys += mark == "=" or (is_header and not brackets) or (mark == "." and is_key)
        values += mark == ","
        dots = dots + (mark == ".") if mark in (".", "") else 0
        is_key = _begins_key(mark, brackets) or (is_key and (mark in (".", "") or is_header))
        _follow(mark, brackets)
        if len(brackets) + dots > NESTING:
            return _nesting_fault(), Span(match.start(), match.end())
        if max(keys, values // VALUES_PER_KEY) > KEYS:
            return _keys_fault(), Span(match.start(), match.end())
        previous = "header" if is_header else mark
    return None


def _begins_key(mark: str, brackets: list[str]) -> bool:
    """Whether a key follows: on a new line, and in an inline table."""
    if mark == "\n":
        return not brackets
    return mark == "{" or (mark == "," and brackets[-1:] == ["{"])


def _follow(mark: str, brackets: list[str]) -> None:
    if mark in ("[", "{"):
        brackets.append(mark)
    elif mark in ("]", "}") and brackets:
        brackets.pop()


def shape_fault(values: Mapping[str, object]) -> Fault | None:
    """Whether parsed values, with the tables that dotted keys imply, are beyond the limits."""
    level: list[tuple[Where, object]] = [((), values)]
    keys = 0
    for _ in range(NESTING + 1):
        inner = [((*path, key), item) for path, table in level for key, item in _items(table)]
        keys += sum(isinstance(path[-1], str) for path, _ in inner)
        level = [(path, item) for path, item in inner if isinstance(item, (Mapping, list))]
        if keys > KEYS:
            return _keys_fault()
    return replace(_nesting_fault(), path=level[0][0][:1]) if level else None


def _items(container: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(container, Mapping):
        return container.items()
    return enumerate(container) if isinstance(container, list) else ()


def _nesting_fault() -> Fault:
    return Fault(
        (),
        "tables and arrays are nested too deeply",
        found=f"more than {NESTING} levels",
        allowed=f"at most {NESTING} levels",
        next_step="write it flatter",
    )


def _keys_fault() -> Fault:
    return Fault(
        (),
        "too many keys or values",
        found=f"more than {KEYS:,} keys, or more than {KEYS * VALUES_PER_KEY:,} values in arrays",
        allowed=f"at most {KEYS:,} keys, and {KEYS * VALUES_PER_KEY:,} values in arrays",
        next_step="keep data in a file of its own, and name that file in the spec",
    )


def value_faults(value: object, path: Where = ()) -> Iterator[Fault]:
    """Values that TOML allows and a spec does not: NaN, infinity, NUL, integers beyond 64 bits."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (replace(f, at_key=True) for f in value_faults(key, (*path, key)))
            yield from value_faults(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from value_faults(item, (*path, position))
    elif isinstance(value, str) and (character := _UNFIT.search(value)):
        yield _character_fault(path, character[0])
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(path, "not a finite number", show(value), "a finite number", "set a number")
    elif isinstance(value, int) and value not in _INTEGERS:
        yield Fault(
            path, "the integer is too large", show(value), "64 bits with sign", "set a smaller one"
        )


def _character_fault(path: Where, character: str) -> Fault:
    return Fault(
        path,
        "holds a character that no file name and no database can hold",
        found=f"U+{ord(character):04X}",
        allowed="any character but NUL, and no bytes that are not UTF-8",
        next_step="remove it",
    )


def tame(value: object) -> object:
    """The value with something harmless for what `value_faults` refuses and JSON cannot hold."""
    if isinstance(value, Mapping):
        return {str(tame(key)): tame(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tame(item) for item in value]
    if isinstance(value, str):
        return _UNFIT.sub("_", value)
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0
    return 0 if isinstance(value, int) and value not in _INTEGERS else value
