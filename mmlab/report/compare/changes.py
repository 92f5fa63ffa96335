"""What differs between the sides: spec, overrides, versions, data, weights, precision, commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from mmlab.hashing import canonical_json
from mmlab.report.compare.sides import Side
from mmlab.store import Store, views
from mmlab.store.bulk import among

#: What differs between any two runs, or is told by the rows of a comparison.
_NOT_TOLD = frozenset({"seed", "name", "started", "seconds", "pid"})
#: Values of one side that are listed; characters of one that are shown.
_SEEDS, _CHARACTERS = 3, 80
ABSENT = "not set"

# JSON of the store: whatever a spec or a provenance holds.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing that is not the same for all sides: what, and its value for each of them."""

    what: str
    values: tuple[str, ...]


def find_changes(store: Store, sides: Sequence[Side]) -> list[Change]:
    """Everything recorded that differs between the sides, the spec first."""
    told = [_told(store, side) for side in sides]
    keys = list(dict.fromkeys(key for one in told for key in one))
    return [
        Change(key, values)
        for key in keys
        if len(set(values := tuple(one.get(key, ABSENT) for one in told))) > 1
    ]


def _told(store: Store, side: Side) -> dict[str, str]:
    """What is recorded of a side's runs, path by path; values that its seeds share."""
    found: dict[str, list[str]] = {}
    for row in _rows(store, side):
        for key, value in dict(_parts(row)).items():
            found.setdefault(key, []).append(value)
    return {key: _joined(values) for key, values in found.items()}


def _rows(store: Store, side: Side) -> list[dict[str, Any]]:
    run = views.all_runs.c
    columns = (run.resolved, run.provenance, run.code_revision, run.data_revisions)
    query = select(*columns).where(among(run.run_id, side.run_ids)).order_by(run.seed, run.run_id)
    return store.frame(query).to_dicts()


def _parts(row: Values) -> Iterator[tuple[str, str]]:
    yield from _flat(json.loads(row["resolved"] or "{}"))
    origin = json.loads(row["provenance"] or "{}")
    for group in ("overrides", "override_files", "precision", "is_deterministic", "python"):
        if group in origin:
            yield group, _short(origin[group])
    for group, word in (("libraries", "version of"), ("plugins", "plugin"), ("weights", "weights")):
        found = origin.get(group)
        for name, value in found.items() if isinstance(found, Mapping) else ():
            yield f"{word} {name}", _version(value) if group == "plugins" else _short(value)
    machine = origin.get("machine")
    if isinstance(machine, Mapping):
        yield "device", _short(machine.get("device", machine.get("device_type")))
    yield "commit", row["code_revision"] or ABSENT
    yield "data", row["data_revisions"] or ABSENT


def _flat(values: Values, *where: str) -> Iterator[tuple[str, str]]:
    """The leaves of a spec by their dotted paths; a list of tables by its numbers."""
    for key, value in values.items():
        if key in _NOT_TOLD and not where:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, *where, key)
        elif isinstance(value, list) and value and all(isinstance(x, Mapping) for x in value):
            yield from _flat({str(place): one for place, one in enumerate(value)}, *where, key)
        else:
            yield ".".join((*where, key)), _short(value)


def _version(plugin: Values) -> str:
    """A distribution's version, and the start of its source's hash where that can change."""
    source = plugin.get("source")
    return f"{plugin.get('version')} ({source[:7]})" if source else str(plugin.get("version"))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 3]}..."


def _joined(values: Sequence[str]) -> str:
    """One text for the values of a side's seeds."""
    several = list(dict.fromkeys(values))
    more = f" and {len(several) - _SEEDS} more" if len(several) > _SEEDS else ""
    return " | ".join(several[:_SEEDS]) + more
