"""Tensor fusion: all products of elements of all modalities, of each subset of them too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size, SpecError, explain
from mmlab_fusions.inputs import present_or_zero


class TensorFusion(nn.Module):
    """Outer product of all inputs, each after a 1: z = [1, u] x [1, v] x ..., flattened.

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., (dims[0] + 1) (dims[1] + 1) ...); the last
    input's index runs fastest. Leading axes broadcast. No parameters, unless `inner_dim` maps every
    input to that width first, by a matrix (inner_dim, dims[i]), so that z is (inner_dim + 1)^inputs
    wide. A result wider than `limit` is refused.

    The first element of z is always 1. An absent input counts as [1, 0, ..., 0]: all terms of the
    others stay, also where those are none and the first element alone is left.

    Source: TFN, Zadeh et al., arXiv:1707.07250, its fusion layer without the networks around it.
    Joins two inputs or more. Raises SpecError where the result is wider than the limit.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # z is linear in each [1, x]: the mean of the results is the result of the mean.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    width_option: ClassVar[str | None] = "inner_dim"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        inner_dim: Annotated[
            Size | None, Field(description="width of each input; no map unless given")
        ] = None,
        limit: Annotated[
            int, Field(ge=1, le=10**9, description="most width of the result")
        ] = 100_000,
    ) -> None:
        super().__init__()
        widths = [width if inner_dim is None else inner_dim for width in dims]
        self.dim = math.prod(width + 1 for width in widths)
        _check_width(widths, self.dim, limit)
        self.maps = nn.ModuleList(
            nn.Identity() if inner_dim is None else nn.Linear(width, inner_dim, bias=False)
            for width in dims
        )

    def project(self, position: int, features: Features) -> Features:
        """A 1 and the input: pooled (..., D + 1)."""
        pooled = nn.functional.pad(self.maps[position](present_or_zero(features)), (1, 0), value=1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The outer product, (..., dim)."""
        return reduce(_outer, (f.pooled for f in features))


def _outer(x: Tensor, y: Tensor) -> Tensor:
    return (x.unsqueeze(-1) * y.unsqueeze(-2)).flatten(-2)


def _check_width(widths: Sequence[int], dim: int, limit: int) -> None:
    if dim <= limit:
        return
    raise SpecError(
        explain(
            "fusion.limit",
            "the result of tensor_fusion is wider than the limit",
            found=" x ".join(str(width + 1) for width in widths) + f" = {dim}",
            allowed=f"up to {limit}",
            next_step='set fusion.inner_dim or fusion.limit, or use = "low_rank_tensor_fusion"',
        )
    )
