"""What labels are called: every template filled with every label, or a file of prompts.

And whether a text encoder tells them apart.
"""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from mmlab.data.reader import fills_input, is_cut
from mmlab.errors import DataError, check_text, explain
from mmlab.files import decode_text, read_file
from mmlab.plugin import Encoder, Measured

PLACEHOLDER = "{}"

#: Labels whose prompts are written at a time.
LABELS_AT_ONCE = 1024


def _check_template(template: str) -> str:
    if template.count(PLACEHOLDER) != 1:
        text = "a template needs exactly one {} for the label"
        allowed = 'a text with one {}, such as "a photo of a {}."'
        context = {"text": text, "allowed": allowed, "next_step": "put {} where the label belongs"}
        raise PydanticCustomError("template", "{text}", context)
    return template


#: A template as an option.
Template = Annotated[str, AfterValidator(_check_template)]


@dataclass(frozen=True)
class Prompts:
    """The prompts of every label, in the order of label ids.

    From `templates`, or from `by_label`, which has a list of prompts for every label. `labels` are
    called as prompts call them.
    """

    labels: tuple[str, ...]
    templates: tuple[str, ...] = ()
    by_label: tuple[tuple[str, ...], ...] | None = None

    def texts(self, chosen: slice) -> list[str]:
        """The prompts of some labels, label by label."""
        if self.by_label is not None:
            return [prompt for prompts in self.by_label[chosen] for prompt in prompts]
        return write_prompts(self.labels[chosen], self.templates)

    def counts(self, chosen: slice) -> list[int]:
        """How many prompts each of some labels has."""
        if self.by_label is not None:
            return [len(prompts) for prompts in self.by_label[chosen]]
        return [len(self.templates)] * len(self.labels[chosen])

    @property
    def firsts(self) -> list[int] | None:
        """For each label the first one of the same prompts; None where no two labels share any."""
        places: dict[object, int] = {}
        each = self.labels if self.by_label is None else self.by_label
        firsts = [places.setdefault(one, place) for place, one in enumerate(each)]
        return firsts if len(places) < len(firsts) else None

    @property
    def most(self) -> int:
        """The largest number of prompts of a label."""
        return max(map(len, self.by_label)) if self.by_label else len(self.templates)

    @property
    def is_even(self) -> bool:
        """Whether every label has as many prompts as any other."""
        return self.by_label is None or len(set(map(len, self.by_label))) == 1

    @property
    def identity(self) -> str:
        """sha256 of labels and prompts in order."""
        content = [self.labels, self.templates if self.by_label is None else self.by_label]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def write_prompts(labels: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every template filled with every label, label by label; a label may contain braces itself.

    >>> write_prompts(["crab", "{}"], ["a {}.", "two {}s."])
    ['a crab.', 'two crabs.', 'a {}.', 'two {}s.']
    """
    return [template.replace(PLACEHOLDER, label) for label in labels for template in templates]


def read_prompts(path: Path, labels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The prompts of every label from a TOML or JSON file of `label = ["prompt", ...]`.

    Raises DataError unless exactly these labels have lists of prompts, none of them empty.
    """
    found = _read_table(path)
    missing = [label for label in labels if label not in found]
    if missing:
        raise _refused(path, "labels of the dataset have no prompts", _some(missing), "every label")
    unknown = [label for label in found if label not in set(labels)]
    if unknown:
        raise _refused(path, "there are no such labels", _some(unknown), "labels of the dataset")
    for label, prompts in found.items():
        is_list = isinstance(prompts, list) and all(isinstance(each, str) for each in prompts)
        if not is_list or not prompts or not all(each.strip() for each in prompts):
            allowed = "a list of one prompt or more, none of them empty"
            raise _refused(path, f"label {label!r} has no list of prompts", repr(prompts), allowed)
        for prompt in prompts:
            check_text(f"{path}: label {label!r}", prompt)
    return tuple(tuple(found[label]) for label in labels)


# Any: what a file holds, before it is checked.
def _read_table(path: Path) -> dict[str, Any]:
    try:
        text = io.StringIO(decode_text(read_file(path)), newline=None).read()
        if path.suffix == ".json":
            table = json.loads(text, object_pairs_hook=without_repetition)
        else:
            table = tomllib.loads(text)
    except (OSError, RecursionError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        allowed = "a TOML file, or a JSON file whose name ends in .json"
        raise _refused(path, "the prompts cannot be read", found, allowed) from error
    if not isinstance(table, dict):
        raise _refused(path, "this is no table", type(table).__name__, 'label = ["prompt", ...]')
    return table


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs of a JSON object. Raises ValueError where one key is there twice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{repeated!r} is there twice")
    return table


@dataclass(frozen=True)
class _Inputs:
    """A hash of each prompt's input and of all inputs of each label; which prompts fill theirs."""

    prompts: npt.NDArray[np.uint64]
    labels: npt.NDArray[np.uint64]
    is_full: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, encoder: Encoder, prompts: Prompts) -> _Inputs:
        """What an encoder's `transform` makes of the prompts."""
        hashes, owners, is_full = array("Q"), array("Q"), array("B")
        for start in range(0, len(prompts.labels), LABELS_AT_ONCE):
            chosen = slice(start, start + LABELS_AT_ONCE)
            counts, texts = prompts.counts(chosen), iter(prompts.texts(chosen))
            for count in counts:
                rows = [encoder.transform(next(texts), False) for _ in range(count)]
                own = [row.numpy().tobytes() for row in rows]
                hashes.extend(map(_hash, own))
                owners.append(_hash(b"".join(own)))
                is_full.extend(fills_input(encoder, row) for row in rows)
        full = np.asarray(is_full, bool)
        return cls(np.asarray(hashes, np.uint64), np.asarray(owners, np.uint64), full)


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _equal_places(
    hashes: npt.NDArray[np.uint64], chosen: npt.NDArray[np.bool_] | None = None
) -> Iterator[list[int]]:
    """Groups of two places or more that have the same hash, of those that are chosen."""
    places = np.arange(len(hashes)) if chosen is None else np.flatnonzero(chosen)
    _, inverse, counts = np.unique(hashes[places], return_inverse=True, return_counts=True)
    groups: dict[int, list[int]] = {}
    for place, group in zip(places[counts[inverse] > 1], inverse[counts[inverse] > 1], strict=True):
        groups.setdefault(int(group), []).append(int(place))
    yield from groups.values()


def tell_apart(encoder: Encoder, prompts: Prompts, place: str, key: str) -> str | None:
    """A word on labels whose different prompts a text encoder reads as the same, if there are any.

    Words that it does not know, or letter case, can be the reason. Labels of the very same prompts
    are meant to be alike. Raises DataError where prompts of different labels are cut before they
    differ, or where no label can be told from another.
    """
    inputs = _Inputs.of(encoder, prompts)
    if cut := _cut_alike(encoder, prompts, inputs):
        raise _cut_short(encoder, cut, place, key)
    groups = [group for group in _equal_places(inputs.labels) if _differ(prompts, group)]
    count, alike = len(prompts.labels), [label for group in groups for label in group]
    if not alike:
        return None
    names = _some([prompts.labels[label] for label in alike])
    if len(groups) == 1 and len(alike) == count:
        raise _all_alike(f"{count} labels, {names}", place, key)
    return (
        f"{place}: prompts of {len(alike)} of {count} labels encode alike, each with those of "
        f"another, and tie ({names}): encoders.{key} does not know their words, or ignores what "
        "sets them apart, such as letter case"
    )


def _differ(prompts: Prompts, labels: Sequence[int]) -> bool:
    return len({tuple(prompts.texts(slice(label, label + 1))) for label in labels}) > 1


def _cut_alike(encoder: Encoder, prompts: Prompts, inputs: _Inputs) -> dict[str, str]:
    """Labels with a prompt that was cut, and then equals another one's of another label."""
    starts = np.cumsum([0, *prompts.counts(slice(None))])
    found: dict[str, str] = {}
    for group in _equal_places(inputs.prompts, inputs.is_full):
        owners = [int(np.searchsorted(starts, each, "right")) - 1 for each in group]
        texts = [
            prompts.texts(slice(label, label + 1))[each - starts[label]]
            for each, label in zip(group, owners, strict=True)
        ]
        is_several = len(set(owners)) > 1 and len(set(texts)) > 1
        if is_several and any(is_cut(encoder, text) for text in texts):
            found |= {
                prompts.labels[label]: text for label, text in zip(owners, texts, strict=True)
            }
    return found


def _cut_short(encoder: Encoder, cut: dict[str, str], place: str, key: str) -> DataError:
    text = next(iter(cut.values()))
    found, allowed = f"{len(cut)} labels, {_some(list(cut))}: {text!r}", "prompts that differ"
    if isinstance(encoder, Measured):
        found += f" has {encoder.count_ids(text)} ids"
        allowed += f" in the first {encoder.length} ids, which encoders.{key} reads"
    return DataError(
        explain(
            place,
            "prompts of different labels encode alike: they are cut before they differ",
            found=found,
            allowed=allowed,
            next_step=f"shorten the prompts, or raise `length` of encoders.{key} where it can be",
        )
    )


def _all_alike(found: str, place: str, key: str) -> DataError:
    return DataError(
        explain(
            place,
            "prompts of all labels encode alike, so that none can be told from another",
            found=found,
            allowed=f"labels in words that encoders.{key} knows",
            next_step="train on texts that say the labels, or use an encoder that reads bytes or "
            "parts of words",
        )
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _refused(path: Path, fault: str, found: str, allowed: str) -> DataError:
    step = "correct the file; its labels are written exactly as the dataset's"
    return DataError(explain(str(path), fault, found=found, allowed=allowed, next_step=step))
