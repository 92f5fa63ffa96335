"""MUTAN: a bilinear form whose tensor of weights is a Tucker product with a core of low rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, product


class Mutan(nn.Module):
    """Tucker form of low rank: z = P (sum over r of (M_r W u) * (N_r V v) * ...), no biases.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (inner_dim, dims[i]) and `rank` matrices (inner_dim, inner_dim) for each input, and P
    (dim, inner_dim). Of two inputs these are bilinear forms z_k = u^T T_k v with T = C x W x V x P,
    whose core C (inner_dim, inner_dim, inner_dim) has slices C_k = sum of m_rk n_rk^T, of rank
    `rank`; m_rk is row k of M_r. Comparing all pairs takes rank x inner_dim numbers for each.

    Any number of inputs is multiplied: a core of as many axes and one more. An absent input is the
    factor 1 for every r, and leaves the others; where all are absent, z = 0.

    Source: MUTAN, Ben-younes et al., arXiv:1705.06676, equations 4 to 8, with equal widths of the
    core; `tanh` asks for its squashing of W u and V v. Its dropout is left out.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in the factors, and the factors of one input are never multiplied with each other.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    # `dim` cannot go below what the cores take, which may be more than a whole budget.
    width_option: ClassVar[str | None] = "inner_dim"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        inner_dim: Annotated[Size, Field(description="width of the core's axes")] = 64,
        rank: Annotated[Size, Field(description="rank of the core's slices")] = 5,
        tanh: Annotated[bool, Field(description="squash what the core takes to [-1, 1]")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.inner_dim = inner_dim
        self.has_tanh = tanh
        self.maps = nn.ModuleList(nn.Linear(width, inner_dim, bias=False) for width in dims)
        self.cores = nn.ModuleList(nn.Linear(inner_dim, rank * inner_dim, bias=False) for _ in dims)
        self.result = nn.Linear(inner_dim, dim, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """One input's factors of all products: pooled (..., rank * inner_dim), 1 where absent."""
        inner = self.maps[position](present_or_zero(features))
        factors = self.cores[position](inner.tanh() if self.has_tanh else inner)
        factors = factors.masked_fill(~features.present.unsqueeze(-1), 1)
        return replace(features, pooled=factors, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The map of the sum of products, (..., dim)."""
        products = product(features)
        products = products.reshape(*products.shape[:-1], -1, self.inner_dim)  # (..., rank, inner)
        fused: Tensor = self.result(products.sum(dim=-2))
        return fused
