"""The elementwise product as a fusion, and random batches of the two vectors that it reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmlab.plugin import Batch, Features


class Product(nn.Module):
    """A vector fusion: elementwise product."""

    reads = frozenset({"pooled"})
    prompts = "features"
    dim = 3

    def project(self, position: int, features: Features) -> Features:
        return features

    def fuse(self, *features: Features) -> Tensor:
        return features[0].pooled * features[1].pooled


def batch(count: int) -> Batch:
    x = {key: torch.randn(count, 2) for key in ("image", "text")}
    present = {key: torch.ones(count, dtype=torch.bool) for key in x}
    return Batch(x, present, torch.zeros(count), torch.arange(count), {})
