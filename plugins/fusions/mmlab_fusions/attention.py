"""Attention over modalities: each sample weighs its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import (
    present_or_zero,
    require_heads,
    side_by_side,
)


class Attention(nn.Module):
    """Weighted sum of linear maps: z = a W u + b V v + ..., with weights that depend on the sample.

        (a, b, ...) = softmax(s_u, s_v, ...)    s_u = <q, tanh(W u)>    s_v = <q, tanh(V v)>

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (dim, dims[i]) for each input, which gives its value and its key, and the query q (dim)
    that all share. With q = 0 z is the mean of the values.

    `heads` divides values, keys and q into as many parts, each with weights of its own; `heads =
    dim` is a weight for each dimension. With `static` no sample has a say: in the place of q and
    keys each input has a learnt score s (inputs, heads) that starts at 0.

    Any number of inputs shares one softmax. An absent input has the score -inf, so that the weights
    of the others sum to 1 again; where all are absent, z = 0. The scores of several prompts are
    averaged, not the prompts' features: the weights are not linear in them.

    Source: the additive score of Bahdanau et al., arXiv:1409.0473, appendix A.1.2, over modalities
    instead of time steps, with a learnt query instead of a decoder's state; heads after Vaswani et
    al., arXiv:1706.03762. Attention over tokens is `cross_attention`.
    Joins two inputs or more. Raises SpecError unless heads divide the width.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        heads: Annotated[Size, Field(description="parts with weights of their own")] = 1,
        static: Annotated[bool, Field(description="the same weights for all samples")] = False,
    ) -> None:
        super().__init__()
        require_heads(dim, heads)
        self.dim = dim
        self.heads = heads
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        if static:
            self.static_scores = nn.Parameter(torch.zeros(len(dims), heads))
        else:
            self.query = nn.Linear(dim, 1, bias=False)
        self.is_static = static

    def project(self, position: int, features: Features) -> Features:
        """One input's value and, after it, its scores: pooled (..., dim + heads)."""
        value = self.maps[position](present_or_zero(features))
        scores = self._scores(position, value)
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN. Values are then 0.
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~features.present.unsqueeze(-1), lowest)
        return replace(features, pooled=torch.cat([value, scores], -1), tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The weighted sum of the values, (..., dim)."""
        scores = side_by_side([f.pooled[..., self.dim :] for f in features])
        weights = scores.softmax(dim=-1).unbind(dim=-1)  # each (..., heads)
        width = self.dim // self.heads
        parts = [
            weight.repeat_interleave(width, dim=-1) * f.pooled[..., : self.dim]
            for weight, f in zip(weights, features, strict=True)
        ]
        return reduce(torch.add, parts)

    def _scores(self, position: int, value: Tensor) -> Tensor:
        """One input's score for each head, (..., heads)."""
        if self.is_static:
            return self.static_scores[position].expand(*value.shape[:-1], -1).to(value.dtype)
        terms = value.tanh() * self.query.weight[0]
        return terms.reshape(*terms.shape[:-1], self.heads, -1).sum(dim=-1)
