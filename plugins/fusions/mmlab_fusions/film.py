"""Feature-wise linear modulation: one modality scales and shifts the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import present_or_zero


class FiLM(nn.Module):
    """Scale and shift by the first input: z = (1 + G u) * (V v) + B u, elementwise, no biases.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: G and B
    (dim, dims[0]), V (dim, dims[1]). The first of the spec's inputs is the condition. With `scalar`
    G is (1, dims[0]): one scale for all dimensions of a sample.

    An absent condition neither scales nor shifts: z = V v. Without v, z = B u; without both, z = 0.
    There is no order in which more than two inputs would condition each other.

    Source: FiLM, Perez et al., arXiv:1709.07871, with scales around 1 as its authors use. There v
    are the channels of an image inside a network; here they are made by V, once. These are also the
    vector and scalar forms of multiplicative interactions, Jayakumar et al., ICLR 2020, section 3.
    Joins exactly two inputs.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in V v, and in scale and shift together: means may be taken of both sides.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, 2)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 256,
        scalar: Annotated[bool, Field(description="one scale for all dimensions")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.scale = nn.Linear(dims[0], 1 if scalar else dim, bias=False)
        self.shift = nn.Linear(dims[0], dim, bias=False)
        self.value = nn.Linear(dims[1], dim, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """Shift and scale, pooled (..., dim + scales), or the value, pooled (..., dim)."""
        x = present_or_zero(features)
        if position == 0:
            pooled = torch.cat([self.shift(x), 1 + self.scale(x)], dim=-1)
        else:
            pooled = self.value(x)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The value, scaled and shifted, (..., dim)."""
        condition, v = (f.pooled for f in features)
        return condition[..., self.dim :] * v + condition[..., : self.dim]
