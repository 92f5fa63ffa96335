"""Modulation: modalities side by side, with shares of the whole that depend on the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import present_or_zero, require_several_inputs, side_by_side


class Modulation(nn.Module):
    """Inputs side by side, each with its share: z = [a u, (1 - a) v], a = sigmoid(<w, [u, v]> + c).

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dims[0] + dims[1]), whose width is no option.
    Leading axes broadcast. Parameters: w (dims[0] + dims[1]) and c, which both start as an
    nn.Linear does. a is one number for each sample; a vector of shares is left out. This is not
    FiLM, where one input scales and shifts the other.

    More inputs share a softmax: z = [a_1 u_1, a_2 u_2, ...] with a = softmax(l_1, l_2, ..., 0) and
    a logit l_i = <w_i, [u_1, u_2, ...]> + c_i for each input but the last, whose logit is 0. For
    two inputs that is the formula above.

    The part of an absent input is 0, it has no say in the logits, and the shares of the others sum
    to 1; where all are absent, z = 0. The scores of several prompts are averaged, not the prompts'
    features: shares are not linear in them.
    Raises SpecError for fewer than two inputs.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        require_several_inputs("modulation", dims)
        self.dims = tuple(dims)
        self.dim = sum(dims)
        self.logits = nn.Linear(self.dim, len(dims) - 1)

    def project(self, position: int, features: Features) -> Features:
        """One input and, after it, its terms of the logits: pooled (..., D + inputs - 1)."""
        x = present_or_zero(features)
        start = sum(self.dims[:position])
        weight = self.logits.weight[:, start : start + self.dims[position]]
        pooled = torch.cat([x, nn.functional.linear(x, weight)], dim=-1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The inputs times their shares, (..., dim)."""
        shares = self._shares(features).unbind(dim=-1)
        parts = [
            share.unsqueeze(-1) * f.pooled[..., :width]
            for share, f, width in zip(shares, features, self.dims, strict=True)
        ]
        return torch.cat(parts, dim=-1)

    def _shares(self, features: Sequence[Features]) -> Tensor:
        """Shares of all inputs, (..., inputs), which sum to 1."""
        logits: Tensor = self.logits.bias
        for width, f in zip(self.dims, features, strict=True):
            logits = logits + f.pooled[..., width:]
        logits = nn.functional.pad(logits, (0, 1))  # (..., inputs)
        present = side_by_side([f.present for f in features])
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN.
        return logits.masked_fill(~present, torch.finfo(logits.dtype).min).softmax(dim=-1)
