"""Positions of TOML: against another parser's, and against what the text at a position says."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toml_rs
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checkout import ROOT

from mmlab.spec.faults import Where
from mmlab.spec.positions import Located, locate, split_path

FILES = sorted([*ROOT.glob("experiments/**/*.toml"), *ROOT.glob("**/pyproject.toml")])

BARE = st.text("ab1_-", min_size=1, max_size=3)
QUOTED = st.sampled_from(['"a"', "'b'", '"a.b"', '"é\\"\\u00e9"', "'#'", '""', '" ="', "'[x]'"])
KEY = st.lists(st.one_of(BARE, QUOTED), min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".".join(parts), " . ".join(parts)])
)
SCALAR = st.sampled_from(
    [
        "1", "0x1F", "1_000", "1.5e-3", "inf", "true", "1979-05-27",
        "1979-05-27 07:32:00", "1979-05-27T07:32:00.5-07:00", "07:32:00", '"a # b"', '"\\"]"',
        "'c:\\d'", "''", '"""x"""', '"""\n a ""b" \\" \\\n c""""', "'''\n'a' ''b'''''", '"日本"',
    ]
)  # fmt: skip
GAP = st.sampled_from(["", " ", "\n  ", " # [a] = {\n"])


def _array(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda items, gap: "[" + gap + f"{gap},{gap}".join(items) + gap + "]",
        st.lists(values, max_size=3),
        GAP,
    )


def _inline_table(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.builds(lambda key, value: f"{key} = {value}", KEY, values)
    return st.lists(pair, max_size=3).map(lambda pairs: "{ " + ", ".join(pairs) + " }")


VALUE = st.recursive(SCALAR, lambda inner: st.one_of(_array(inner), _inline_table(inner)))
LINE = st.one_of(
    st.builds(lambda key, value: f"{key} = {value}  # end", KEY, VALUE),
    st.builds(lambda key: f"[{key}]", KEY),
    st.builds(lambda key: f"  [[ {key} ]] # more", KEY),
    st.just(""),
)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Valid TOML: of random lines, those that the document can take."""
    text = ""
    for line in draw(st.lists(LINE, max_size=12)):
        if _is_toml(f"{text}{line}\n"):
            text += f"{line}\n"
    return text


def _oracle(text: str) -> Iterator[tuple[Where, dict[str, Any]]]:
    """What toml-rs knows of every key and value; it counts columns in bytes."""
    nodes = toml_rs.load_with_metadata(io.BytesIO(text.encode())).meta["nodes"]
    yield from _walk(nodes, ())


def _walk(node: Any, path: Where) -> Iterator[tuple[Where, dict[str, Any]]]:
    if isinstance(node, dict) and "value" in node:
        yield path, node
        node = node["value"]
    for key, child in _children(node):
        yield from _walk(child, (*path, key))


def _children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _check(text: str) -> int:
    """Compare all positions; the number compared."""
    found = locate(text)
    expected = list(_oracle(text))
    for path, node in expected:
        if "key_line" in node:
            assert _line_and_byte(text, found[path]) == _expected(node), path
        if "value_raw" in node:
            assert text[slice(*found[path].value)] == node["value_raw"], path
    return len(expected)


def _line_and_byte(text: str, located: Located) -> tuple[int, int]:
    before = text[: located.key.start]
    return before.count("\n") + 1, len(before[before.rfind("\n") + 1 :].encode()) + 1


def _expected(node: dict[str, Any]) -> tuple[int, int]:
    return _first(node["key_line"]), _first(node["key_col"])


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple) else value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_positions_in_the_projects_files_are_another_parsers(path: Path) -> None:
    assert _check(path.read_text()) > 0


def test_the_projects_files_are_found() -> None:
    assert len(FILES) > 8


@given(documents())
@settings(max_examples=100, deadline=None)
def test_positions_in_any_document_are_another_parsers(text: str) -> None:
    _check(text)


@given(documents())
@settings(max_examples=100, deadline=None)
def test_the_text_at_a_position_is_the_value_there(text: str) -> None:
    found = locate(text)
    for path, value in _values(tomllib.loads(text), ()):
        shown = text[slice(*found[path].value)]
        if not isinstance(value, (dict, list)):
            assert repr(tomllib.loads(f"value = {shown}")["value"]) == repr(value)


@given(documents())
@settings(max_examples=100, deadline=None)
def test_everything_in_a_document_has_a_position_and_nothing_else(text: str) -> None:
    assert set(locate(text)) == {path for path, _ in _values(tomllib.loads(text), ())}


def _values(value: object, path: Where) -> Iterator[tuple[Where, object]]:
    for key, child in _children(value):
        yield (*path, key), child
        yield from _values(child, (*path, key))


def test_a_header_is_the_value_of_its_table() -> None:
    text = "[train]\nlr = 1\n\n[[losses]]\n[[losses]]\n"
    found = locate(text)
    assert text[slice(*found["train",].value)] == "[train]"
    assert found["losses", 1].value.start == text.rindex("[[losses]]")


def test_a_dotted_path_ends_before_its_equals_sign() -> None:
    assert split_path('a."b.c" .d = 1') == (("a", "b.c", "d"), 11)
    assert split_path("losses.0.weight=2") == (("losses", "0", "weight"), 15)


@pytest.mark.parametrize("text", ["", "=1", ".a=1", "a..b", '"a', "a.=1"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unexpected text"):
        split_path(text)
