"""Batch norm over the samples that are there, and over the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class BatchNorm(nn.Module):
    """Each number of x (B, D) less its mean over the batch, by its standard deviation there.

    Means are over samples that are there (B,), so that absent ones have no say. Statistics are the
    batch's in evaluation too, and none are kept: what this norm is for asks how a batch spreads.
    """

    def __init__(self, width: int, *, is_affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if is_affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if is_affine else None

    def forward(self, x: Tensor, is_there: Tensor) -> Tensor:
        """(B, D) -> (B, D), in float32 at least."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        weight = is_there.to(x.dtype).unsqueeze(1) / is_there.sum().clamp(min=1)  # (B, 1)
        x = x.masked_fill(~is_there.unsqueeze(1), 0)
        x = x - (weight * x).sum(0)
        x = x * ((weight * x.square()).sum(0) + EPSILON).rsqrt()
        if self.weight is None or self.bias is None:
            return x
        return x * self.weight + self.bias
