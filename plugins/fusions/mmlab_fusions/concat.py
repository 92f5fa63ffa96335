"""Concatenation of any number of modalities, then one linear map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero


class Concat(nn.Module):
    """Linear map of the concatenation: z = W [u, v, ...] + b.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. One input is
    the unimodal baseline, z = W u + b. The bias is off by default.

    W [u, v] = W1 u + W2 v, so that this is the sum of linear maps too: the two differ only in the
    scale of their start, here that of one nn.Linear over all inputs. `project` gives each input's
    term, `fuse` adds them. An absent input adds nothing; where all are absent, z = b.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    function_class: ClassVar[str] = "one linear map of all inputs"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        bias: Annotated[bool, Field(description="add a learnt constant")] = False,
    ) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.dim = dim
        self.map = nn.Linear(sum(dims), dim, bias=bias)

    def project(self, position: int, features: Features) -> Features:
        """One input's term of the sum: pooled (..., dim)."""
        start = sum(self.dims[:position])
        weight = self.map.weight[:, start : start + self.dims[position]]
        term = F.linear(present_or_zero(features), weight)
        return replace(features, pooled=term, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The sum of the terms, (..., dim)."""
        total = features[0].pooled
        for other in features[1:]:
            total = total + other.pooled
        return total if self.map.bias is None else total + self.map.bias
