"""Spec files that nobody would write: bytes, pieces of TOML, and specs that somebody changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

from hypothesis import strategies as st

from support.checkout import ROOT

#: Specs to change; none names files of its own, so that each can stand alone.
EXAMPLES = sorted(
    path.read_text(encoding="utf-8")
    for path in (ROOT / "experiments").rglob("*.toml")
    if "extends" not in path.read_text(encoding="utf-8")
)

#: Values in TOML that go wrong somewhere, as they are written.
ODD_TEXTS = [
    *("nan", "-inf", "inf", "1e400", "-0.0", "1_000_000_000", "0xffffffffffffffffffff", "-1"),
    *("9" * 5000, "9223372036854775807", "9223372036854775808", "1e-400", "0.1e1_0", "0o7", "0b1"),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "0001-01-01", "9999-12-31T23:59:60Z"),
    *('""', '"\\u0000"', '"\\ud800"', '"\\U0001F99C"', '"\\x1b[31m"', "'''a\n'''", '"a.b"', "true"),
    *('"a\\nb"', '"\\u202e"', '"use"', '"../.."', '"/dev/zero"', f'"{"n" * 300}"', '"\\u00e9"'),
    *("[]", "{}", "[[]]", "[{}]", "{use=1}", '{use="concat"}', '{"" = 1}', "[1, 'a', nan]"),
    *("[" * 40 + "]" * 40, "{a=" * 33 + "1" + "}" * 33, "[" * 31 + "{a=1}" + "]" * 31),
]
#: What is put between other characters.
PIECES = [
    *('"', "'", '"""', "'''", "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "#", "\n", "\r", "\t"),
    *("\\", "\\u", "\x00", "\x7f", "\ufeff", "\u2028", "\u200b", "e\u0301", "\U0001f99c", "İ", "ß"),
    *("use", "sweep", "axes", "extends", "meta", "train", "weights", "seeds", "include", "match"),
    *(
        "a." * 40,
        "[a]\n",
        "a=1\n",
        "[sweep]\n",
        "[sweep.axes]\n",
        '"train.lr"=[1,2]\n',
        "1979-05-27",
    ),
    *ODD_TEXTS,
]
_KEYS = [
    *("use", "name", "weight", "dim", "depth", "width", "path", "file", "run", "weights", "lora"),
    *("freeze", "split", "dataset", "inputs", "options", "train", "losses", "evaluate", "sweep"),
    *("axes", "seeds", "include", "exclude", "strategy", "samples", "match", "budget", "extends"),
    *("head", "fusion", "encoders", "image", "text", "optimizer", "schedule", "best", "meta"),
    *("", " ", "a.b", "\u00e9", "e\u0301", "\U0001f99c", "0", "-1", "__class__", "\x7f", "k" * 300),
]
_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),  # which TOML cannot say: the key goes
    st.booleans(),
    st.integers(-5, 40),
    st.integers(),
    st.sampled_from([10**9, 2**63, -(2**64), 10**30]),
    st.floats(),
    st.text(max_size=8),
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.sampled_from(_KEYS),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.sampled_from(["concat", "vit", "emoji", "cross_entropy", "adamw", "linear", "zero_shot"]),
)
keys = st.sampled_from(_KEYS) | st.text(st.characters(codec="utf-8"), max_size=5)
values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spliced(draw: st.DrawFn) -> bytes:
    """The text of an example with pieces put in, cut out, and lines of it repeated or moved."""
    text = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 0, 0, 1, 2, 5, 30, 200]))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        how = draw(st.sampled_from(["piece", "value", "again", "away"]))
        if how == "value":  # in the place of the value that comes next
            start = text.find("=", start) + 1
            stop = (text.find("\n", start) + 1 or len(text) + 1) - 1
        elif how == "again":
            piece = text[start:stop]
            start = stop = draw(st.integers(0, len(text)))
        text = text[:start] + ("" if how == "away" else piece) + text[stop:]
    return text.encode(errors="surrogatepass")


@st.composite
def soups(draw: st.DrawFn) -> bytes:
    """Pieces of TOML in no order, or bytes."""
    parts = draw(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30))
    text = draw(st.sampled_from(["", " ", "\n", "="])).join(parts)
    return text.encode(errors="surrogatepass") + draw(st.binary(max_size=3))


def places_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value inside another one, outermost first."""
    found: list[tuple[str | int, ...]] = []
    inner: Sequence[tuple[Any, object]] = []
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for key, item in inner:
        found += [(*path, key), *places_of(item, (*path, key))]
    return found


def replaced(document: Any, path: Sequence[str | int], value: object, key: str | None) -> Any:
    """The document with another value at a path, or beside it under another key."""
    part, *rest = path
    inner = document[part]
    if rest:
        inner = replaced(inner, rest, value, key)
    elif key is None or not isinstance(document, dict):
        inner = value
    if isinstance(document, list):
        return [*document[: int(part)], inner, *document[int(part) + 1 :]]
    changed = {**document, part: inner}
    return {**changed, key: value} if key is not None and not rest else changed


@st.composite
def changed(draw: st.DrawFn, example: Mapping[str, Any]) -> dict[str, Any]:
    """A parsed example with some values replaced, and keys put beside others."""
    document: Any = dict(example)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places_of(document)))
        key = draw(st.none() | keys)
        document = replaced(document, path, draw(values), key)
    return dict(document)


def written(value: object) -> str:
    """A value as TOML writes it, tables inline. What TOML cannot say, None, is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(written(item) for item in value if item is not None)}]"
    if isinstance(value, Mapping):
        kept = [(key, item) for key, item in value.items() if item is not None]
        return "{" + ", ".join(f"{quoted(key)} = {written(item)}" for key, item in kept) + "}"
    return quoted(str(value))


def quoted(text: str) -> str:
    """A text between quotes, with escapes for all but printable ASCII."""
    return "".join(['"', *(_escaped(character) for character in text), '"'])


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08x}"


def document_text(document: Mapping[str, object]) -> str:
    """A document with a line for each key at its top."""
    kept = [(key, value) for key, value in document.items() if value is not None]
    return "".join(f"{quoted(key)} = {written(value)}\n" for key, value in kept)


@st.composite
def overrides(draw: st.DrawFn) -> list[str]:
    """What `--set` is given: paths that lead somewhere or not, and values."""
    paths = st.one_of(
        st.sampled_from(
            [
                *("train.lr", "train.epochs", "fusion.dim", "fusion.use", "encoders.image.width"),
                *("losses.0.weight", "evaluate.0.name", "sweep.seeds", 'sweep.axes."train.lr"'),
                *("dataset", "head", "meta.a.b", "extends", "losses.99.use", "train.optimizer.lr"),
                *("name", "schema_version", "encoders", "a." * 40 + "a", '""', "losses.-1", "'"),
            ]
        ),
        st.lists(keys.map(json.dumps) | keys, min_size=1, max_size=4).map(".".join),
    )
    given_values = st.sampled_from(ODD_TEXTS) | values.map(written) | st.text(max_size=8)
    texts = st.tuples(paths, st.sampled_from(["=", " = ", "", "=="]), given_values).map("".join)
    return draw(st.lists(texts | st.text(max_size=10), min_size=1, max_size=3))
