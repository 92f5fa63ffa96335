"""What labels are called: every template filled with every label, or a file of prompts."""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from mmlab.errors import DataError, check_text, explain
from mmlab.files import decode_text

PLACEHOLDER = "{}"


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
        text = io.StringIO(decode_text(path.read_bytes()), newline=None).read()
        if path.suffix == ".json":
            table = json.loads(text, object_pairs_hook=_without_repetition)
        else:
            table = tomllib.loads(text)
    except (OSError, RecursionError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        allowed = "a TOML file, or a JSON file whose name ends in .json"
        raise _refused(path, "the prompts cannot be read", found, allowed) from error
    if not isinstance(table, dict):
        raise _refused(path, "this is no table", type(table).__name__, 'label = ["prompt", ...]')
    return table


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{repeated!r} is there twice")
    return table


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _refused(path: Path, fault: str, found: str, allowed: str) -> DataError:
    step = "correct the file; its labels are written exactly as the dataset's"
    return DataError(explain(str(path), fault, found=found, allowed=allowed, next_step=step))
