"""Why results of one name are not compared: in what their protocols differ, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.hashing import canonical_json
from mmlab.report.boards.words import board_name, counted, group_labels, is_suite, listed
from mmlab.store import Store
from mmlab.store.bulk import among
from mmlab.store.views import run_evaluations

# A protocol is a table of JSON: values of whatever kind.
Protocol = Mapping[str, Any]

#: What the parts of a protocol are; of `options` each is told by itself.
_PARTS = {
    "evaluator": "the evaluator",
    "version": "the evaluator's version",
    "condition": "the condition",
    "split": "the split",
    "dataset_revision": "the dataset's revision",
    "samples": "the samples asked",
    "labels": "the labels",
    "prompt_names": "the labels' names in prompts",
    "templates": "the templates",
    "task": "the task",
    "protocol_hash": "the protocol that they were exported with",
}
#: Those parts of `options` that no option of a spec has set.
_FOUND = {
    "prompts_sha256": "the prompts in prompts_file",
    "selected_on": "the samples that select templates, backgrounds or a threshold",
    "proposals_sha256": "the proposed boxes",
    "shots": "the shots drawn",
}
#: Those of `options` that a spec sets by another name; they are told with their values.
_SET_BY_ANOTHER = {"shots_per_label": "the shots per label"}
_CHARACTERS = 40


def tell_differences(here: Protocol, there: Protocol) -> str:
    """In what two protocols differ; options are told with their values.

    >>> tell_differences({"split": "test", "options": {"k": 1}}, {"options": {"k": 2}})
    'option k (1 here, 2 there) and the split'
    """
    return listed([*_differences(here, there)])


def _differences(here: Protocol, there: Protocol) -> Iterator[str]:
    for key in _differing(here, there):
        if key == "options":
            yield from _options(here.get(key, {}), there.get(key, {}))
        else:
            yield _PARTS.get(key, key)


def _options(here: Protocol, there: Protocol) -> Iterator[str]:
    for key in _differing(here, there):
        if key == "learnt_from":
            yield from _learnt(here.get(key, {}), there.get(key, {}))
        elif key in _FOUND:
            yield _FOUND[key]
        else:
            name = _SET_BY_ANOTHER.get(key, f"option {key}")
            yield f"{name} ({_show(here.get(key))} here, {_show(there.get(key))} there)"


def _learnt(here: Protocol, there: Protocol) -> Iterator[str]:
    """What a probe learnt from: by split, the revision of the data and a hash of the samples."""
    for split in _differing(here, there):
        own, other = here.get(split), there.get(split)
        if own is None or other is None:
            yield f"whether {split} samples were learnt from"
        elif own[1] != other[1]:
            yield f"the {split} samples learnt from"
        else:
            yield f"the revision of the {split} samples learnt from"


def _differing(here: Protocol, there: Protocol) -> list[str]:
    """The keys whose values differ, in the order of their names, as hashes of protocols do."""
    return [
        key
        for key in sorted({*here, *there})
        if canonical_json(here.get(key)) != canonical_json(there.get(key))
    ]


def _show(value: object) -> str:
    if value is None:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 3] + "..."


#: Reasons that are told of a board why it is not comparable with others of its name, and with how
#: many it is compared for them: the first ones, which have the most rows.
_TOLD, _COMPARED = 3, 12


def told_apart(
    store: Store, parts: Sequence[pl.DataFrame], board: pl.DataFrame
) -> list[tuple[str, ...]]:
    """Of every comparison of a board, why it is not comparable with the others of its name."""
    named: dict[tuple[str, str, str], list[_Part]] = {}
    made = [_Part(board_name(part), part["protocol_hash"][0], part) for part in parts]
    for one in made:
        named.setdefault(one.name, []).append(one)
    several = [one.protocol_hash for ones in named.values() if len(ones) > 1 for one in ones]
    protocols = _protocols(store, several)
    for one in made:
        if one.protocol_hash in several and is_suite(one.rows):
            from mmlab.report.boards.suites import protocol_of  # only where there is one

            protocols[one.protocol_hash] = protocol_of(board, one.rows)
    return [_apart(one, named[one.name], protocols) for one in made]


@dataclass(frozen=True, eq=False)
class _Part:
    """A comparison with its name, and what its first row and all its rows are called."""

    name: tuple[str, str, str]
    protocol_hash: str
    rows: pl.DataFrame

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(group_labels(self.rows.iter_rows(named=True)).values())

    @cached_property
    def first_label(self) -> str:
        return _first_label(self.rows)


def _protocols(store: Store, hashes: Sequence[str]) -> dict[str, Protocol]:
    row = run_evaluations.c
    query = select(row.protocol_hash, row.protocol).where(among(row.protocol_hash, hashes))
    rows = store.frame(query.distinct()).iter_rows(named=True) if hashes else ()
    return {one["protocol_hash"]: json.loads(one["protocol"]) for one in rows}


def _apart(
    part: _Part, named: Sequence[_Part], protocols: Mapping[str, Protocol]
) -> tuple[str, ...]:
    """With which other boards of its name a board is not comparable, and why, in whole phrases.

    It is compared with so many of them: comparing each with each takes long where there are many.
    """
    rivals = [one for one in named[: _COMPARED + 1] if one is not part][:_COMPARED]
    here = protocols.get(part.protocol_hash)
    tables: dict[str, list[str]] = {}
    for name, rival in zip(_rival_names(part, rivals), rivals, strict=True):
        assert here is not None, "protocols of rivals are read"
        differs = tell_differences(here, protocols[rival.protocol_hash])
        tables.setdefault(differs, []).append(name)
    groups = sorted(tables.items(), key=lambda group: -len(group[1]))
    told = [_not_comparable(names, differs) for differs, names in groups[:_TOLD]]
    rest = len(named) - 1 - sum(len(names) for _, names in groups[:_TOLD])
    more = [f"nor with {counted(rest, 'further table')} of this name"] if rest else []
    return (*told, *more)


def _not_comparable(names: Sequence[str], differs: str) -> str:
    tables, differ = ("table", "differs") if len(names) == 1 else ("tables", "differ")
    return f"not comparable with the {tables} of {listed(names)}, which {differ} in {differs}"


def _rival_names(part: _Part, rivals: Sequence[_Part]) -> list[str]:
    """What a board calls others: by their first row, and by protocol where that is not enough."""
    firsts = [rival.first_label for rival in rivals]
    counts = Counter([*part.labels, *firsts])
    return [
        label if counts[label] == 1 else f"{label} (protocol {rival.protocol_hash[:8]})"
        for label, rival in zip(firsts, rivals, strict=True)
    ]


def _first_label(part: pl.DataFrame) -> str:
    """What the first row of a board is called."""
    labels = group_labels(part.iter_rows(named=True))
    first = part.row(0, named=True)
    return labels[first["experiment"], first["group_hash"]]
