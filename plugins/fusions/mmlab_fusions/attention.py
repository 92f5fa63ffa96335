"""Attention over modalities: each sample weighs its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import present_or_zero, require_several_inputs, side_by_side


class Attention(nn.Module):
    """Weighted sum of linear maps: z = a W u + b V v + ..., with weights that depend on the sample.

        (a, b, ...) = softmax(s_u, s_v, ...)    s_u = <q, tanh(W u)>    s_v = <q, tanh(V v)>

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., dim). Leading axes broadcast. Parameters: one
    matrix (dim, dims[i]) for each input, which gives its value and its key, and the query q (dim)
    that all share. With q = 0 z is the mean of the values.

    Any number of inputs shares one softmax. An absent input has the score -inf, so that the weights
    of the others sum to 1 again; where all are absent, z = 0. The scores of several prompts are
    averaged, not the prompts' features: the weights are not linear in them.

    Source: the additive score of Bahdanau et al., arXiv:1409.0473, appendix A.1.2, over modalities
    instead of time steps, with a learnt query instead of a decoder's state. Left out: weights that
    all samples share, a weight for each dimension, several heads, and attention over tokens.
    Raises SpecError for fewer than two inputs.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 256,
    ) -> None:
        super().__init__()
        require_several_inputs("attention", dims)
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        self.query = nn.Linear(dim, 1, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """One input's value and, after it, its score: pooled (..., dim + 1)."""
        value = self.maps[position](present_or_zero(features))
        score = self.query(value.tanh())
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN. Values are then 0.
        lowest = torch.finfo(score.dtype).min
        score = score.masked_fill(~features.present.unsqueeze(-1), lowest)
        return replace(features, pooled=torch.cat([value, score], -1), tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The weighted sum of the values, (..., dim)."""
        scores = side_by_side([f.pooled[..., -1] for f in features])  # (..., inputs)
        weights = scores.softmax(dim=-1)
        total = weights[..., :1] * features[0].pooled[..., :-1]
        for i, other in enumerate(features[1:], start=1):
            total = total + weights[..., i : i + 1] * other.pooled[..., :-1]
        return total
