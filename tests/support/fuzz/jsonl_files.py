"""JSONL files as scripts of several languages write them, and a plain reader of them."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.fuzz.csv_files import CELLS as WORDS
from support.fuzz.csv_files import ENCODINGS, ODD, TEXTS
from support.fuzz.outcome import Unclear
from support.fuzz.roles import PATHS, columns, options_for, rows_of

_text = st.sampled_from(TEXTS) | st.text(max_size=8)
_words = st.sampled_from(["cat", "dog", "dog ", "owl"])
_none = st.none()
#: For each role the kinds of cells that one column may have; a file draws one of them.
KINDS: dict[str, list[st.SearchStrategy[Any]]] = {
    "caption": [_text, _text | _none, st.lists(_text, max_size=3) | _none, _text | st.lists(_text)],
    "label": [
        *(_words, _words | _none, st.integers(0, 3), st.booleans() | _none, st.just("") | _words),
        *(st.lists(_words, max_size=2), st.lists(st.integers(0, 3), max_size=2) | _none),
        *(st.sampled_from([1.0, 2, 0.0]) | _none, _words | st.lists(_words, min_size=1)),
    ],
    "id": [st.uuids().map(str), st.integers(), st.integers(0, 10**30)],
    "image": [st.sampled_from(PATHS), st.sampled_from(PATHS) | _none],
    "cell": [WORDS["cell"], st.integers(-9, 9) | _none, st.booleans(), st.sampled_from([1, 2.5])],
    "target": [WORDS["target"], st.integers(-9, 9) | _none, st.sampled_from([1, 2.5])],
    "sample": [st.sampled_from(["p", "q", "", None]), st.integers(0, 3)],
    "split": [WORDS["split"]],
    "other": [st.lists(st.lists(_text | st.integers() | _none)) | st.dictionaries(_text, _none)],
}
_objects = st.dictionaries(st.sampled_from(["en", "raw"]), _text, min_size=1)
_halves = st.sampled_from(["\ud83d", "a \udc00 b", "cat"])
_any = _text | st.integers(-(2**70), 2**70) | st.floats() | st.booleans() | _none
#: What goes together with little or nothing.
MIXED = [
    _any,
    st.lists(_any, max_size=2),
    _any | st.lists(_any),
    _objects,
    _halves,
    _objects | _text,
]


class JsonlFile(NamedTuple):
    """A file's bytes, its encoding, and what a spec names of it."""

    content: bytes
    encoding: str
    options: dict[str, Any]


@st.composite
def jsonl_files(draw: st.DrawFn) -> JsonlFile:
    """A file of objects, whose keys may lack, now and then damaged."""
    named = draw(columns())
    cells = {role: draw(st.sampled_from(KINDS[role])) for _, role in named}
    for role in cells:
        if draw(st.integers(0, 7)) == 0:
            cells[role] = draw(st.sampled_from([*MIXED, ODD.get(role, _text)]))
    rows = [dict(zip(dict(named), row, strict=True)) for row in draw(rows_of(cells, named))]
    for row in rows:
        if row and draw(st.integers(0, 9)) == 0:
            row.popitem()
    as_ascii = draw(st.booleans())
    lines = [_dumps(row, as_ascii=as_ascii) for row in rows]
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    if lines and draw(st.integers(0, 7)) == 0:
        at = draw(st.integers(0, len(lines) - 1))
        lines[at : at + 1] = draw(st.sampled_from(_damages(lines[at])))
    encoding = draw(st.sampled_from(ENCODINGS))
    content = end.join([*lines, ""]).encode(encoding, "replace")
    options = options_for(named)
    if "sample_column" not in options and draw(st.booleans()):
        options["rows"] = "samples"
    return JsonlFile(content, encoding, options)


def _dumps(row: dict[str, Any], *, as_ascii: bool) -> str:
    text = json.dumps(row, ensure_ascii=as_ascii)
    return text if as_ascii or text.isprintable() else json.dumps(row)


def _damages(line: str) -> list[list[str]]:
    """What may stand in place of a line."""
    return [
        *(["", line], [line, "  "], [line[:-2]], [line + ","], ["[1]"], ["null"], [line, line]),
        *(["{}"], [line[:-1] + ', "z": 1, "z": 2}'], [line[:-1] + ', "z": NaN}'], ["# a comment"]),
        *([line + line], ["\ufeff" + line], ["[" * 100_000], ['{"a": ' + "9" * 5000 + "}"]),
    ]


def read_plainly(file: JsonlFile) -> list[dict[str, Any]]:
    """The objects of the file by Python's json module. Raises Unclear where that finds none."""
    try:
        text = file.content.decode(file.encoding).removeprefix("\ufeff")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        lines = [line.strip("\ufeff \t") for line in lines]
        rows = [json.loads(line, object_pairs_hook=_unique) for line in lines if line]
    except (ValueError, RecursionError) as error:
        raise Unclear(f"no JSON: {error}"[:60]) from error
    if not all(isinstance(row, dict) for row in rows):
        raise Unclear("no object")
    for name in _names(file.options):
        if any(_is_endless(row.get(name)) for row in rows):
            raise Unclear("NaN is no JSON")
    return rows


def _names(options: dict[str, Any]) -> list[str]:
    single = [name for option, name in options.items() if option.endswith("_column")]
    return single + [n for o, names in options.items() if o.endswith("_columns") for n in names]


def _is_endless(cell: Any) -> bool:
    if isinstance(cell, list):
        return any(map(_is_endless, cell))
    return isinstance(cell, float) and not math.isfinite(cell)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)
