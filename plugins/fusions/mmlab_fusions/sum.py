"""The sum of linear maps, one of each modality."""

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


class Sum(nn.Module):
    """Sum of linear maps: z = W u + V v + ... + b.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (dim, dims[i]) for each input, and b (dim) where `bias` asks for it.

    `concat` with W = [W V ...] gives the same: the two are one class of functions, and differ only
    in the scale of their start, which is here that of one nn.Linear for each input.

    Any number of inputs is summed. An absent input adds nothing; where all are absent, z = b.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    function_class: ClassVar[str] = "one linear map of all inputs"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        bias: Annotated[bool, Field(description="add a learnt constant")] = False,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def project(self, position: int, features: Features) -> Features:
        """One input's term of the sum: pooled (..., dim)."""
        term = self.maps[position](present_or_zero(features))
        return replace(features, pooled=term, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The sum of the terms, (..., dim)."""
        total = reduce(torch.add, (f.pooled for f in features))
        return total if self.bias is None else total + self.bias
