"""Feature-wise linear modulation: one modality scales and shifts the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.fold import Fold, Rule
from mmlab_fusions.inputs import present_or_zero


class FiLM(nn.Module):
    """Scale and shift by the first input: z = (1 + G u) * (V v) + B u, elementwise, no biases.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: G and B
    (dim, dims[0]), V (dim, dims[1]). The first of the spec's inputs is the condition. With `scalar`
    G is (1, dims[0]): one scale for all dimensions of a sample.

    An absent condition neither scales nor shifts: z = V v. Without v, z = B u; without both, z = 0.

    Of more inputs `fold` "pairwise" is the mean of (1 + G_ij x_i) * (V_ij x_j) + B_ij x_i over all
    pairs i < j, and "left" conditions on what was conditioned: (1 + G_2 z) * (V_2 w) + B_2 z, where
    z is that of u and v. A pair with an absent input counts only where none is whole; "left" leaves
    out an absent third.

    Source: FiLM, Perez et al., arXiv:1709.07871, with scales around 1 as its authors use. There v
    are the channels of an image inside a network; here they are made by V, once. These are also the
    vector and scalar forms of multiplicative interactions, Jayakumar et al., ICLR 2020, section 3.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in V v, and in scale and shift together: means may be taken of both sides.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        scalar: Annotated[bool, Field(description="one scale for all dimensions")] = False,
        fold: Rule = "pairwise",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.scale = nn.Linear(dims[0], 1 if scalar else dim, bias=False)
        self.shift = nn.Linear(dims[0], dim, bias=False)
        self.value = nn.Linear(dims[1], dim, bias=False)
        self.fold = Fold(fold, dims, dim, partial(FiLM, dim=dim, scalar=scalar))

    def project(self, position: int, features: Features) -> Features:
        """One side of the operator; of three inputs or more, the input: pooled (..., D)."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """The value, scaled and shifted, folded, (..., dim)."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """Shift and scale, pooled (..., dim + scales), or the value, pooled (..., dim)."""
        x = present_or_zero(features)
        if position == 0:
            pooled = torch.cat([self.shift(x), 1 + self.scale(x)], dim=-1)
        else:
            pooled = self.value(x)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def join(self, u: Features, v: Features) -> Tensor:
        """The value, scaled and shifted, (..., dim)."""
        return u.pooled[..., self.dim :] * v.pooled + u.pooled[..., : self.dim]
