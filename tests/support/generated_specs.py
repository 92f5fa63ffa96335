"""Specs that nobody would write, for properties: any order, any option, tables there or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

#: What TOML says; a spec nests tables and arrays.
Value = Any

#: Files that options may name; whoever uses the specs puts them there.
FILES = ("a.txt", "sub/b.txt")

_words = st.text(st.characters(codec="utf-8", categories=("L", "N", "S", "Zs")), max_size=6)
_keys = st.sampled_from(["image", "text", "Z", "a-b", "m_1", "b9", "Y", "x"])
_integers = st.integers(-(2**63), 2**63 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_numbers = _integers | _floats
_paths = st.sampled_from(FILES)
_names = st.sampled_from(["first", "second", "3rd.run"])

_notes = st.recursive(
    _words | _numbers | st.booleans() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)

#: Options of `odd`, any of which may be left out.
_odd = st.fixed_dictionaries(
    {},
    optional={
        "ratio": _floats | st.integers(-9, 9),
        "flag": st.booleans(),
        "either": st.booleans() | st.integers(0, 3),
        "word": _words,
        "choice": st.sampled_from(["a", "b"]),
        "shade": st.sampled_from([1, 2]),
        "day": st.dates(),
        "maybe": _integers,
        "pair": st.tuples(_integers, _numbers).map(list),
        "many": st.lists(_numbers | _words, max_size=3),
        "names": st.lists(_words, max_size=3),
        "table": st.dictionaries(_keys, _numbers, max_size=3),
        "nested": st.fixed_dictionaries({}, optional={"size": st.integers(), "share": _floats}),
        "named": _words,
        "file": _paths,
        "files": st.lists(_paths, max_size=2),
        "places": st.dictionaries(_keys, _paths, max_size=2),
    },
)
_weights = st.fixed_dictionaries(
    {"run": _names}, optional={"encoder": _keys}
) | st.fixed_dictionaries({"file": _paths}, optional={"encoder": _keys})
_reading = st.fixed_dictionaries(
    {},
    optional={
        "dim": st.integers(1, 9),
        "modality": st.sampled_from(["image", "text"]),
        "freeze": st.booleans() | st.integers(0, 2),
        "lr_scale": st.floats(0.01, 9) | st.integers(1, 9),
        "weights": _weights,
    },
)
_adapting = st.fixed_dictionaries(
    {
        "lora": st.fixed_dictionaries(
            {},
            optional={
                "rank": st.integers(1, 4),
                "alpha": st.floats(0.1, 9),
                "targets": st.just(["first"]),
            },
        )
    }
)
_dataset = st.fixed_dictionaries(
    {"use": st.just("clusters")},
    optional={
        "count": st.integers(64, 70),
        "known": st.integers(2, 4),
        "multi": st.just(False),
        "on_error": st.sampled_from(["error", "skip"]),
        "max_skipped": st.floats(0, 0.5),
    },
)
_losses = st.lists(
    st.fixed_dictionaries({"use": st.just("scripted")}, optional={"weight": st.floats(0, 9)}),
    min_size=1,
    max_size=3,
)
_train = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 24), "epochs": st.integers(1, 9)},
    optional={
        "max_steps": st.integers(1, 99),
        "lr": st.floats(1e-6, 1) | st.just(1),
        "weight_decay": st.floats(0, 1) | st.integers(0, 1),
        "ema": st.floats(0.1, 0.9),
        "patience": st.integers(1, 9),
        "evaluate_every": st.integers(1, 9),
        "deterministic": st.booleans(),
        "workers": st.integers(0, 4),
        "best_mode": st.sampled_from(["auto", "min", "max"]),
    },
)
_evaluate = st.lists(
    st.fixed_dictionaries(
        {"use": st.just("classification")},
        optional={
            "split": st.sampled_from(["train", "validation", "test"]),
            "k": st.integers(1, 9),
            "dataset": _dataset,
        },
    ),
    min_size=1,
    max_size=3,
)
_fusions = st.fixed_dictionaries(
    {"use": st.sampled_from(["concat", "sum", "max"])}, optional={"dim": st.integers(1, 9)}
)
_axes = st.dictionaries(
    st.sampled_from(["train.lr", "fusion.dim", "train.patience", "losses.0.weight"]),
    st.lists(st.integers(1, 9), min_size=2, max_size=2, unique=True),
    max_size=2,
) | st.fixed_dictionaries({"fusion": st.lists(_fusions, min_size=1, max_size=2, unique_by=repr)})
_sweeps = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["grid", "zip"]),
        "seeds": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=2, unique=True),
        "axes": _axes,
        "include": st.lists(
            st.fixed_dictionaries({}, optional={"train.lr": st.floats(1e-3, 1)}),
            min_size=1,
            max_size=1,
        ),
    },
)
_budgets = st.fixed_dictionaries({"match": st.just("parameters"), "budget": st.integers(90, 900)})


@dataclass(frozen=True)
class Generated:
    """Texts of a spec, of what it extends in the folder `base`, of a patch, and overrides."""

    main: str
    base: str
    patch: str
    overrides: tuple[str, ...]


@st.composite
def specs(draw: st.DrawFn) -> Generated:
    """A valid spec of toys, its tables spread over two files, with a patch and overrides."""
    tables = draw(_spec_tables())
    moved = draw(st.lists(st.sampled_from(sorted(tables)), unique=True, max_size=4))
    base = {key: tables.pop(key) for key in moved}
    head = {"schema_version": 1, "name": draw(_names), "extends": ["base/base.toml"]}
    patch = draw(st.fixed_dictionaries({}, optional={"meta": st.dictionaries(_keys, _notes)}))
    overrides = draw(
        st.lists(
            st.builds("meta.{}={}".format, _keys, _notes.map(_toml))
            | st.builds("train.batch_size={}".format, st.integers(1, 24))
            | st.builds("dataset.count={}".format, st.integers(64, 70)),
            max_size=2,
        )
    )
    return Generated(
        _document({**head, **tables}), _document(base), _document(patch), (*overrides,)
    )


@st.composite
def _spec_tables(draw: st.DrawFn) -> dict[str, Value]:
    keys = draw(st.lists(_keys, min_size=1, max_size=4, unique_by=str.lower))
    encoders = {key: draw(_encoders(key)) for key in keys}
    inputs = draw(st.none() | st.lists(st.sampled_from(keys), min_size=1, unique=True))
    sweep = draw(_sweeps) | draw(st.just({}) | _budgets)
    fusion = draw(_fusions) | ({} if inputs is None else {"inputs": inputs})
    if "match" in sweep:
        fusion.pop("dim", None)
        sweep["axes"] = {key: _without_width(v) for key, v in sweep.get("axes", {}).items()}
        sweep["axes"].pop("fusion.dim", None)
    tables: dict[str, Value] = {
        "meta": draw(st.dictionaries(_keys, _notes, max_size=3)),
        "dataset": draw(_dataset),
        "encoders": encoders,
        "fusion": fusion,
        "head": {"use": "linear"},
        "losses": _named(draw(_losses)),
        "train": draw(_train),
        "evaluate": _named(draw(_evaluate)),
        "sweep": sweep,
    }
    order = draw(st.permutations([*tables]))
    return {key: tables[key] for key in order}


@st.composite
def _encoders(draw: st.DrawFn, key: str) -> dict[str, Value]:
    table = {"use": "toy", **draw(_reading)}
    if draw(st.booleans()):
        table |= {"use": "odd", **draw(_odd)}
    if draw(st.booleans()) and "freeze" not in table:
        table |= draw(_adapting)
    if key not in ("image", "text"):
        table.setdefault("modality", "text")
    order = draw(st.permutations([*table]))
    return {name: table[name] for name in order}


def _named(tables: list[dict[str, Value]]) -> list[dict[str, Value]]:
    """Tables of one component each with a name of its own, the first as it is."""
    return [{**table, "name": f"n{i}"} if i else table for i, table in enumerate(tables)]


def _without_width(members: list[Value]) -> list[Value]:
    """Members of an axis without the width of a fusion, which a budget sets."""
    if not isinstance(members[0], Mapping):
        return members
    narrowed = [{k: v for k, v in member.items() if k != "dim"} for member in members]
    return [*{repr(member): member for member in narrowed}.values()]


def _document(tables: Mapping[str, Value]) -> str:
    """A TOML document: a line for each key, with everything inline."""
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in tables.items())


def _toml(value: Value) -> str:
    """A value as TOML writes it inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)
