"""The gated multimodal unit: each dimension takes its own share of every modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.inputs import present_or_zero, side_by_side


class GMU(nn.Module):
    """Gated multimodal unit: z = g * tanh(W u) + (1 - g) * tanh(V v), g = sigmoid(G [u, v]).

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim), all elementwise and without biases. Leading
    axes broadcast. Parameters: W (dim, dims[0]), V (dim, dims[1]), G (dim, dims[0] + dims[1]).

    More inputs share a softmax in each dimension, with a matrix like G for each input but the last,
    whose logit is 0; for two inputs that is the formula above. The paper's form for more inputs has
    a sigmoid for each, whose sum is not 1.

    An absent input has no say in the gates, and the shares of the others sum to 1, so that one
    input alone gives tanh of its map; where all are absent, z = 0. The scores of several prompts
    are averaged, not the prompts' features: gates are not linear in them.

    Source: Arevalo et al., arXiv:1702.01992, section 3.1.
    Joins two inputs or more.
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
    ) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        self.gates = nn.Linear(sum(dims), (len(dims) - 1) * dim, bias=False)

    def project(self, position: int, features: Features) -> Features:
        """One input's value and, after it, its terms of the logits: pooled (..., inputs * dim)."""
        x = present_or_zero(features)
        start = sum(self.dims[:position])
        weight = self.gates.weight[:, start : start + self.dims[position]]
        pooled = torch.cat([self.maps[position](x).tanh(), nn.functional.linear(x, weight)], dim=-1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The sum of the values times their shares, (..., dim)."""
        shares = self._shares(features).unbind(dim=-2)
        parts = [
            share * f.pooled[..., : self.dim] for share, f in zip(shares, features, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)

    def _shares(self, features: Sequence[Features]) -> Tensor:
        """Shares of all inputs in each dimension, (..., inputs, dim), which sum to 1."""
        logits = features[0].pooled[..., self.dim :]
        for other in features[1:]:
            logits = logits + other.pooled[..., self.dim :]
        logits = nn.functional.pad(logits, (0, self.dim))
        logits = logits.reshape(*logits.shape[:-1], len(features), self.dim)
        present = side_by_side([f.present for f in features]).unsqueeze(-1)
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN.
        return logits.masked_fill(~present, torch.finfo(logits.dtype).min).softmax(dim=-2)
