"""Modulation: modalities side by side, with shares of the whole that depend on the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, SpecError, explain
from mmlab_fusions.inputs import present_or_zero, side_by_side


class Modulation(nn.Module):
    """Inputs side by side, each with its share: z = [a u, (1 - a) v], a = sigmoid(<w, [u, v]> + c).

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dims[0] + dims[1]), whose width is no option.
    Leading axes broadcast. Parameters: w (dims[0] + dims[1]) and c, which both start as an
    nn.Linear does. a is one number for each sample; with `vector` it is one for each dimension, w a
    matrix and c a vector, and inputs must be equally wide. This is not FiLM, where one input scales
    and shifts the other.

    More inputs share a softmax: z = [a_1 u_1, a_2 u_2, ...] with a = softmax(l_1, l_2, ..., 0) and
    a logit l_i = <w_i, [u_1, u_2, ...]> + c_i for each input but the last, whose logit is 0. For
    two inputs that is the formula above.

    The part of an absent input is 0, it has no say in the logits, and the shares of the others sum
    to 1; where all are absent, z = 0. The scores of several prompts are averaged, not the prompts'
    features: shares are not linear in them.
    Joins two inputs or more. Raises SpecError with `vector` where widths differ.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    width_option: ClassVar[str | None] = None

    def __init__(
        self,
        dims: Sequence[int],
        *,
        vector: Annotated[bool, Field(description="a share for each dimension")] = False,
    ) -> None:
        super().__init__()
        if vector:
            _require_equal_widths(dims)
        self.dims = tuple(dims)
        self.dim = sum(dims)
        self.share_width = dims[0] if vector else 1
        self.logits = nn.Linear(self.dim, (len(dims) - 1) * self.share_width)

    def project(self, position: int, features: Features) -> Features:
        """One input and, after it, its terms of the logits: pooled (..., D + logits)."""
        x = present_or_zero(features)
        start = sum(self.dims[:position])
        weight = self.logits.weight[:, start : start + self.dims[position]]
        pooled = torch.cat([x, nn.functional.linear(x, weight)], dim=-1)
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The inputs times their shares, (..., dim)."""
        shares = self._shares(features).unbind(dim=-2)
        parts = [
            share * f.pooled[..., :width]
            for share, f, width in zip(shares, features, self.dims, strict=True)
        ]
        return torch.cat(parts, dim=-1)

    def _shares(self, features: Sequence[Features]) -> Tensor:
        """Shares of all inputs, (..., inputs, 1 or dims[0]), which sum to 1."""
        logits: Tensor = self.logits.bias
        for width, f in zip(self.dims, features, strict=True):
            logits = logits + f.pooled[..., width:]
        logits = nn.functional.pad(logits, (0, self.share_width))
        logits = logits.reshape(*logits.shape[:-1], len(features), self.share_width)
        present = side_by_side([f.present for f in features]).unsqueeze(-1)
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN.
        return logits.masked_fill(~present, torch.finfo(logits.dtype).min).softmax(dim=-2)


def _require_equal_widths(dims: Sequence[int]) -> None:
    if len(set(dims)) == 1:
        return
    raise SpecError(
        explain(
            "fusion.vector",
            "a share for each dimension needs inputs of one width",
            found=f"widths {', '.join(map(str, dims))}",
            allowed="equal widths, or one share for each input",
            next_step="leave out fusion.vector, or set the encoders' widths",
        )
    )
