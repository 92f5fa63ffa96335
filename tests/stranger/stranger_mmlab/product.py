"""A fusion: the product of linear maps, each place of the result agreeing or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features


class Product(nn.Module):
    """z = (1 + W1 u) * (1 + W2 v) * ..., elementwise; an absent input counts as 1.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 64,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        """One factor: pooled (..., dim)."""
        mapped = self.maps[position](features.pooled)
        kept = torch.where(features.present.unsqueeze(-1), mapped, torch.zeros_like(mapped))
        return replace(features, pooled=1 + kept, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The product of the factors, (..., dim)."""
        product = features[0].pooled
        for other in features[1:]:
            product = product * other.pooled
        return product
