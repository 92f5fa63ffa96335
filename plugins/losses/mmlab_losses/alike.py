"""Answers that are right by how alike samples are in one modality: continuous weights of CWCL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mmlab.plugin import EncoderKey, Features, Shapes, Similarity, SpecError, explain
from mmlab_losses.blocks import full, in_blocks, own, pair_mask
from mmlab_losses.encoders import given_directions, require_encoder
from mmlab_losses.positives import PAIRS

Alike = Annotated[
    str | None,
    EncoderKey(),
    Field(
        description="key of an input: to its questions every answer is right by how alike the two "
        "samples' features are there"
    ),
]


def check_alike(alike: str | None, positives: str, shapes: Shapes) -> str | None:
    """The option if there is such an encoder and nothing else says what is right; or SpecError."""
    if alike is None:
        return None
    require_encoder("info_nce", "alike", alike, shapes.dims)
    if positives == PAIRS:
        return alike
    raise SpecError(
        explain(
            "losses.alike",
            "two options say which answers are right",
            found=f'alike "{alike}" and positives "{positives}"',
            allowed="one of them",
            next_step="leave `alike` or `positives` out",
        )
    )


def weigh_answers(
    similarity: Similarity, key: str, features: Features, scale: Tensor, chunk: int | None
) -> Tensor:
    """Of each question that input `key` asks, the weighted mean of its scaled scores, (B,).

    Answer j weighs (1 + cos(x_i, x_j)) / 2 for the features x of this input, which get no gradient;
    pairs with an absent side weigh nothing, but for a question that is itself one.
    """
    size, x, is_pair = similarity.size, given_directions(features), similarity.present
    is_row = is_first(key, similarity.sides)

    def block(start: int, stop: int) -> tuple[Tensor, Tensor]:
        scores = similarity.block(start, stop)
        counts = pair_mask(is_pair, start, stop) | own(size, start, stop, x.device)
        with torch.autocast(x.device.type, enabled=False):
            weights = ((1 + x[start:stop] @ x.T) / 2).masked_fill(~counts, 0)
        weighed = weights * (scale * full(scores.forward if is_row else scores.backward))
        dim = 1 if is_row else 0
        return weighed.sum(dim), weights.sum(dim)

    sums, weights = zip(*in_blocks(size, chunk, block), strict=True)
    if is_row:
        return torch.cat(sums) / torch.cat(weights)
    return torch.stack(sums).sum(0) / torch.stack(weights).sum(0)


def is_first(key: str, inputs: Iterable[str]) -> bool:
    """Whether it is the rows of a similarity that this input is; SpecError if it is neither."""
    first, second = inputs
    if key in (first, second):
        return key == first
    raise SpecError(
        explain(
            "losses.alike",
            "only an input of the fusion asks questions",
            found=f'"{key}"',
            allowed=f'"{first}", "{second}"',
            next_step="name an input of [fusion]",
        )
    )
