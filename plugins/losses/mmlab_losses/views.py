"""Further views of the two inputs, each scored with each: DeCLIP's multi-view supervision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mmlab.plugin import Batch, Encode, Features, Outputs, Similarity, Size, SpecError, explain

Views = Annotated[
    Mapping[str, Size],
    Field(description="further augmented views by encoder key, each paired with each"),
]
ViewWeight = Annotated[
    float, Field(ge=0, description="weight of the mean over pairs of further views")
]

NO_VIEWS: Mapping[str, int] = {}


def view_of(key: str, number: int, outputs: Outputs, batch: Batch, encode: Encode) -> Features:
    """Features of one further view, present where the sample is."""
    features = encode(key, batch.views[key][number])
    return replace(features, present=outputs.features[key].present)


def over_views(
    loss_of: Callable[[Similarity], Tensor],
    views: Mapping[str, int],
    weight: float,
    outputs: Outputs,
    batch: Batch,
    encode: Encode,
) -> dict[str, Tensor]:
    """The loss of the batch plus `weight` times its mean over all pairs with a further view.

    With m views of one input and n of the other, the batch's own among them, m * n - 1 pairs.
    Source: Li et al., arXiv:2110.05208. Raises SpecError for a key that is no input.
    """
    assert outputs.similarity is not None, "declared in `reads`"
    main = loss_of(outputs.similarity)
    if not views:
        return {"loss": main}
    _check_keys(views, outputs.similarity)
    others = [loss_of(one) for one in _further(views, outputs, batch, encode)]
    further = torch.stack(others).mean()
    return {"loss": main + weight * further, "views": further.detach()}


def _further(
    views: Mapping[str, int], outputs: Outputs, batch: Batch, encode: Encode
) -> Iterator[Similarity]:
    similarity = outputs.similarity
    assert similarity is not None
    versions = [
        [outputs.features[key]]
        + [view_of(key, i, outputs, batch, encode) for i in range(views.get(key, 0))]
        for key in similarity.sides
    ]
    for features in islice(product(*versions), 1, None):
        yield similarity.of(dict(zip(similarity.sides, features, strict=True)))


def _check_keys(views: Mapping[str, int], similarity: Similarity) -> None:
    strange = sorted(set(views) - set(similarity.sides))
    if not strange:
        return
    raise SpecError(
        explain(
            "losses.views",
            "only inputs of the fusion have views to pair",
            found=", ".join(strange),
            allowed=", ".join(similarity.sides),
            next_step="name inputs of [fusion]",
        )
    )
