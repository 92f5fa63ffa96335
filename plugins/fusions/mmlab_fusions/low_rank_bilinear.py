"""Bilinear forms of low rank: a product in a joint space, mapped to the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, product


class LowRankBilinear(nn.Module):
    """Linear map of a product of linear maps: z = P ((U u) * (V v) * ...), no biases.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (rank, dims[i]) for each input, and P (dim, rank). Of two inputs these are bilinear forms
    z_k = u^T (U^T diag(P_k) V) v, of rank `rank` at most; a row of ones in P gives u^T U^T V v.

    Any number of inputs is multiplied: forms in all of them, of CP rank `rank`. An absent input is
    the factor 1, and leaves the product of the others; where all are absent, z = 0.

    Source: MLB, Kim et al., arXiv:1610.04325, which adds a constant to z and a tanh to each factor;
    `tanh` asks for the second.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in each factor, tanh or not: the mean of the results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        rank: Annotated[Size, Field(description="width of the joint space")] = 64,
        tanh: Annotated[bool, Field(description="squash each factor to [-1, 1]")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.has_tanh = tanh
        self.maps = nn.ModuleList(nn.Linear(width, rank, bias=False) for width in dims)
        self.result = nn.Linear(rank, dim, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """One input's factor: pooled (..., rank), 1 where it is absent."""
        mapped = self.maps[position](present_or_zero(features))
        factor = mapped.tanh() if self.has_tanh else mapped
        factor = factor.masked_fill(~features.present.unsqueeze(-1), 1)
        return replace(features, pooled=factor, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The map of the factors' product, (..., dim)."""
        fused: Tensor = self.result(product(features))
        return fused
