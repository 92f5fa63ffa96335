"""A linear map of tensor fusion's result, of low rank, so that the tensor is never made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero


class LowRankTensorFusion(nn.Module):
    """Sum of products of linear maps: z = sum over r of w_r ([1, u] F_r) * ([1, v] G_r) * ... + b.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: for
    each input, `rank` matrices (dims[i] + 1, dim), held as one nn.Linear, whose constant is the row
    that belongs to the 1; w (rank) and b (dim). Equal to a linear map, of CP rank `rank`, of
    `tensor_fusion`. Comparing all pairs takes `rank` times the memory of the result.

    Factors start at variance 1 for standard normal inputs, and so does z. An absent input counts as
    [1, 0, ..., 0]: what it contributes is learnt; where all are absent, z is a learnt constant.

    Source: LMF, Liu et al., arXiv:1806.00064, with the weights w of the authors' program.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in each factor: the mean of the results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        rank: Annotated[Size, Field(description="number of products summed")] = 4,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, rank * dim) for width in dims)
        for width, factors in zip(dims, self.maps, strict=True):
            for parameter in factors.parameters():
                nn.init.normal_(parameter, std=(width + 1) ** -0.5)
        self.rank_weights = nn.Parameter(torch.randn(rank) / rank**0.5)
        self.bias = nn.Parameter(torch.zeros(dim))

    def project(self, position: int, features: Features) -> Features:
        """One input's factors of all products: pooled (..., rank * dim)."""
        pooled = self.maps[position](present_or_zero(features))
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The weighted sum of the products, (..., dim)."""
        products = reduce(torch.mul, (f.pooled for f in features))
        products = products.reshape(*products.shape[:-1], -1, self.dim)  # (..., rank, dim)
        return torch.einsum("...rk,r->...k", products, self.rank_weights) + self.bias
