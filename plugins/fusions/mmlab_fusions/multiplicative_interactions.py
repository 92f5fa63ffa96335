"""Multiplicative interactions: a bilinear form with the linear terms of both modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import present_or_zero
from mmlab_fusions.weight_tensor import bilinear_form, weight_tensor


class MultiplicativeInteractions(nn.Module):
    """Bilinear forms and linear maps: z_k = u^T W_k v + (U u)_k + (V v)_k + b_k.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: W (dim,
    dims[0], dims[1]), refused above `limit_mib` and started as in `bilinear`; U (dim, dims[0]), V
    (dim, dims[1]) and b (dim), which starts at 0. With W = 0 it is `sum` with a bias. The forms
    whose W is diagonal or a number are `film`.

    An absent input counts as the zero vector and leaves the other's linear map; where both are
    absent, z = b. More than two inputs are refused as in `bilinear`.

    Source: Jayakumar et al., "Multiplicative Interactions and Where to Find Them", ICLR 2020; of
    its forms, the full one.
    Joins exactly two inputs. Raises SpecError where the weights exceed the limit.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is a linear map and a constant in each input: the mean of results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, 2)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 256,
        limit_mib: Annotated[int, Field(ge=1, description="most memory for the weights")] = 256,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.weight = weight_tensor("multiplicative_interactions", dims, dim, limit_mib)
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        self.bias = nn.Parameter(torch.zeros(dim))

    def project(self, position: int, features: Features) -> Features:
        """One input's linear term and, after it, the input: pooled (..., dim + D)."""
        x = present_or_zero(features)
        pooled = torch.cat([self.maps[position](x), x], dim=-1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The forms with the linear terms, (..., dim)."""
        u, v = (f.pooled for f in features)
        form = bilinear_form(self.weight, u[..., self.dim :], v[..., self.dim :])
        return form + u[..., : self.dim] + v[..., : self.dim] + self.bias
