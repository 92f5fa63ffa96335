"""Multiplicative interactions: a bilinear form with the linear terms of both modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.fold import Fold, Rule, operands
from mmlab_fusions.inputs import present_or_zero
from mmlab_fusions.weight_tensor import bilinear_form, weight_tensor


class MultiplicativeInteractions(nn.Module):
    """Bilinear forms and linear maps: z_k = u^T W_k v + (U u)_k + (V v)_k + b_k.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: W (dim,
    dims[0], dims[1]), refused above `limit_mib` and started as in `bilinear`; U (dim, dims[0]), V
    (dim, dims[1]) and b (dim), which starts at 0. With W = 0 it is `sum` with a bias. The forms
    whose W is diagonal or a number are `film`.

    An absent input counts as the zero vector and leaves the other's linear map; where both are
    absent, z = b.

    Of more inputs `fold` "pairwise" is the mean of all pairs' z_ij, i < j, each with W, U, V and b
    of its own, and "left" is z^T W_2,k w + (U_2 z)_k + (V_2 w)_k + b_2k, where z is that of u and
    v. A pair with an absent input counts only where none is whole; "left" leaves out an absent
    third.

    Source: Jayakumar et al., "Multiplicative Interactions and Where to Find Them", ICLR 2020; of
    its forms, the full one.
    Joins two inputs or more. Raises SpecError where the weights exceed the limit.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is a linear map and a constant in each input: the mean of results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        limit_mib: Annotated[
            int, Field(ge=1, le=10**9, description="most memory for the weights")
        ] = 256,
        fold: Rule = "pairwise",
    ) -> None:
        super().__init__()
        self.dim = dim
        widths = operands(fold, dims, dim)
        self.weight = weight_tensor("multiplicative_interactions", widths, dim, limit_mib)
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims[:2])
        self.bias = nn.Parameter(torch.zeros(dim))
        of_two = partial(MultiplicativeInteractions, dim=dim, limit_mib=limit_mib)
        self.fold = Fold(fold, dims, dim, of_two)

    def project(self, position: int, features: Features) -> Features:
        """One side of the operator; of three inputs or more, the input: pooled (..., D)."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """The forms with the linear terms, folded, (..., dim)."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """One input's linear term and, after it, the input: pooled (..., dim + D)."""
        x = present_or_zero(features)
        pooled = torch.cat([self.maps[position](x), x], dim=-1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def join(self, u: Features, v: Features) -> Tensor:
        """The forms with the linear terms, (..., dim)."""
        x, y = u.pooled, v.pooled
        form = bilinear_form(self.weight, x[..., self.dim :], y[..., self.dim :])
        return form + x[..., : self.dim] + y[..., : self.dim] + self.bias
