"""Weights of labels, as a spec gives them: alike, balanced, or by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from mmlab.plugin import Shapes, SpecError, explain

#: "equal", "balanced", or some labels by name, the others weighing 1.
LabelWeight = Literal["equal", "balanced"] | Mapping[str, Annotated[float, Field(ge=0)]]


def named_weights(option: str, given: Mapping[str, float], shapes: Shapes) -> list[float]:
    """One weight per label: the one given by its name, else 1. Raises SpecError for other names."""
    for name in given:
        if name not in shapes.labels:
            raise _unknown_label(option, name, shapes.labels)
    return [given.get(label, 1.0) for label in shapes.labels]


def _unknown_label(option: str, name: str, labels: tuple[str, ...]) -> SpecError:
    near = difflib.get_close_matches(name, labels, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    shown = ", ".join(map(repr, labels[:20])) + (
        f" and {len(labels) - 20} more" * (len(labels) > 20)
    )
    return SpecError(
        explain(
            f"losses.{option}.{name}",
            f"the dataset has no label of this name{hint}",
            found=repr(name),
            allowed=shown or "none: the dataset has no labels",
            next_step="correct the name, or remove it: labels that are not named weigh 1",
        )
    )
