"""Why results of one name are not compared: in what their protocols differ, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mmlab.canonical import canonical_json
from mmlab.report.figures import listed

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
    "selected_on": "the samples that select templates",
    "shots": "the shots drawn",
}
#: Those of `options` that a spec sets by another name; they are told with their values.
_SET_BY_ANOTHER = {"shots_per_label": "the shots per label"}
_CHARACTERS = 40


def tell_differences(here: Protocol, there: Protocol) -> str:
    """In what two protocols differ; options are told with their values.

    >>> tell_differences({"split": "test", "options": {"k": 1}}, {"options": {"k": 2}})
    'the split and option k (1 here, 2 there)'
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
