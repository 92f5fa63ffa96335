"""Which samples of a batch answer for each other: captions repeat, and so do labels."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mmlab.plugin import Batch, Shapes, SpecError, explain

Positives = Annotated[
    str,
    Field(
        description='what is a right answer: "pairs", the sample\'s own; "labels", that of any '
        "sample with its label; or an encoder's key, that of any sample with the same text there"
    ),
]

PAIRS, LABELS = "pairs", "labels"


def check_positives(positives: str, shapes: Shapes) -> str:
    """The option if it means something for this model; raises SpecError otherwise."""
    allowed = [PAIRS, *([] if shapes.is_multi_label else [LABELS]), *shapes.vocabularies]
    if positives in allowed:
        return positives
    raise SpecError(
        explain(
            "losses.positives",
            "says of no two samples of this spec whether they are the same",
            found=f'"{positives}"',
            allowed=", ".join(f'"{word}"' for word in allowed),
            next_step="choose one of these; labels are single ones, encoders read texts",
        )
    )


def inputs_read(positives: str) -> frozenset[str]:
    """Keys of the encoders whose texts are compared."""
    return frozenset({positives} - {PAIRS, LABELS})


def find_groups(positives: str, batch: Batch) -> Tensor | None:
    """(B,) int64, equal where samples answer for each other; None where none does for another."""
    if positives == PAIRS:
        return None
    if positives == LABELS:
        alone = -1 - torch.arange(len(batch.target), device=batch.target.device)
        return torch.where(batch.target < 0, alone, batch.target)
    return number_rows(batch.inputs[positives])


def number_rows(x: Tensor) -> Tensor:
    """(B, N) -> (B,) int64, equal for equal rows and for no others.

    Sorts by one column after the other, last first, so that equal rows become neighbours. All
    shapes are known beforehand: nobody waits for the device, as `torch.unique` does.
    """
    order = torch.arange(len(x), device=x.device)
    for column in reversed(x.unbind(1)):
        order = order[column[order].argsort(stable=True)]
    ordered = x[order]
    is_new = (ordered[1:] != ordered[:-1]).any(dim=1)
    numbers = torch.cat([is_new.new_zeros(1), is_new]).cumsum(0)
    return torch.empty_like(numbers).scatter(0, order, numbers)
