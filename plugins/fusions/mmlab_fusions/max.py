"""The largest of the modalities' linear maps, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, zero_where_all_absent


class Max(nn.Module):
    """Largest of linear maps, elementwise: z = max(W u, V v, ...), no biases.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (dim, dims[i]) for each input. Where two are equal, each gets half of the gradient.

    Any number of inputs is compared. An absent input is -inf before the maximum, so that it never
    wins, also not against negative values; where all are absent, z = 0. The scores of several
    prompts are averaged, not the prompts' features: a mean of maxima is not the maximum of means.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        """One input's candidate: pooled (..., dim), -inf where it is absent."""
        mapped = self.maps[position](present_or_zero(features))
        candidate = mapped.masked_fill(~features.present.unsqueeze(-1), -torch.inf)
        return replace(features, pooled=candidate, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The largest candidates, (..., dim)."""
        largest = reduce(torch.maximum, (f.pooled for f in features))
        return zero_where_all_absent(largest, features)
