"""Whether a dataset is the same in another process: other hash seed, other working folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from mmlab.testing.claims import breach
from mmlab.testing.dataset_contents import PARTS
from mmlab.testing.fresh import Told, read_elsewhere
from mmlab.testing.tools import Factory

_CLAIM = "a dataset is the same in every process, whatever the hash seed and the working folder are"
_REMEDY = (
    "sort what comes from sets and folders, use hashlib instead of `hash`, and find files from an "
    "option of the type Path or from `Path(__file__).parent`"
)


def check_elsewhere(factory: Factory, options: Mapping[str, object]) -> None:
    """Read every split in two fresh processes, and compare all that they say."""
    try:
        told = read_elsewhere(factory, options)
    except RuntimeError as error:
        _breach("__init__", f"it cannot be read in a fresh process in another folder: {error}")
    if told:
        _compare(*told)


def _compare(first: Told, second: Told) -> None:
    for split, one in first.items():
        other = second[split]
        for name, fingerprint in one["declared"].items():
            if fingerprint != other["declared"][name]:
                _breach(name, f"`{name}` of the split {split!r} differs between two processes")
        if one["revision"] != other["revision"]:
            found = f"{one['revision']!r:.60} in one process, {other['revision']!r:.60} in another"
            _breach("revision", found)
        if one["ids"] != other["ids"]:
            _breach("__getitem__", f"ids of the split {split!r}: {_differing(one, other)}")
        _compare_samples(split, one, other)


def _compare_samples(split: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    # Any: JSON
    for name, a, b in zip(one["ids"], one["contents"], other["contents"], strict=True):
        parts = [part for part, x, y in zip(PARTS, a, b, strict=True) if x != y]
        if parts:
            found = f"{name} of the split {split!r}: its {' and '.join(parts)} differ"
            _breach("__getitem__", f"{found} between two processes")
    if one["sources"] != other["sources"]:
        _breach("trace", f"the sources of the split {split!r} differ between two processes")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:  # Any: JSON
    if len(one["ids"]) != len(other["ids"]):
        return f"{len(one['ids'])} in one process, {len(other['ids'])} in another"
    a, b = next((a, b) for a, b in zip(one["ids"], other["ids"], strict=True) if a != b)
    is_order = sorted(one["ids"]) == sorted(other["ids"])
    return f"{a!r} in one process, {b!r} in another{', in another order' if is_order else ''}"


def _breach(method: str, found: str) -> NoReturn:
    breach(_CLAIM, method, found, _REMEDY)
