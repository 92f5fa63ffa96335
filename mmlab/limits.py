"""Limits on what is read as a spec, checked before it is parsed: nothing crafted may take long.

tomllib recurses once per level, takes seconds for long dotted keys, and accepts NUL escapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from mmlab.faults import Fault, Where, show
from mmlab.locate import Span

FILE_BYTES = 1024 * 1024
NESTING = 32
KEYS = 10_000

_INTEGERS = range(-(2**63), 2**63)

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
    """The first place where a text nests too deeply or has too many keys, if there is one.

    Counts tokens without judging the text; tomllib does that.
    """
    depth = dots = keys = 0
    for match in _TOKEN.finditer(text):
        mark, span = match["mark"], Span(match.start(), match.end())
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        dots = dots + 1 if mark == "." else dots if mark is None else 0
        keys += mark == "=" or (mark == "[" and text[match.start() - 1 : match.start()] in "\n")
        if depth + dots > NESTING:
            return _nesting_fault(), span
        if keys > KEYS:
            return _keys_fault(), span
    return None


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
        "too many keys",
        found=f"more than {KEYS:,} keys",
        allowed=f"at most {KEYS:,} keys and headers",
        next_step="keep data in a file of its own, and name that file in the spec",
    )


def value_faults(value: object, path: Where = ()) -> Iterator[Fault]:
    """Values that TOML allows and a spec does not: NaN, infinity, NUL, integers beyond 64 bits."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if "\x00" in key:
                yield _nul_fault((*path, key), at_key=True)
            yield from value_faults(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from value_faults(item, (*path, position))
    elif isinstance(value, str) and "\x00" in value:
        yield _nul_fault(path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(path, "not a finite number", show(value), "a finite number", "set a number")
    elif isinstance(value, int) and value not in _INTEGERS:
        yield Fault(
            path, "the integer is too large", show(value), "64 bits with sign", "set a smaller one"
        )


def _nul_fault(path: Where, *, at_key: bool = False) -> Fault:
    return Fault(
        path,
        "holds a NUL character",
        found="\\u0000",
        allowed="any character but NUL, which no file name and no database can hold",
        next_step="remove \\u0000",
        at_key=at_key,
    )
