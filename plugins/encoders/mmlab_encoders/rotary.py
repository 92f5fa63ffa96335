"""Rotary positions: queries and keys are turned by their places, so that distances remain."""

from __future__ import annotations

import torch
from torch import Tensor

#: Of the slowest pair, one turn takes about 2 pi times as many places.
BASE = 10000.0


def rotate(x: Tensor) -> Tensor:
    """Queries or keys (..., N, E), each turned by angles that grow with its place n; E is even.

    The pair of numbers i and E/2 + i is turned by n * BASE^(-2i / E), so that the product of a
    query at n and a key at m depends on the vectors and on n - m. Lengths stay as they are. Angles
    are float32 at least.

    Source: RoFormer, Su et al., arXiv:2104.09864, equation 34. There, neighbours are a pair; which
    numbers are is only a matter of how learnt maps name their outputs.
    """
    cos, sin = turns(x)
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)


def turns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles of each place and pair, (N, E / 2) each."""
    count, width = x.shape[-2:]
    dtype = torch.promote_types(x.dtype, torch.float32)
    rates = BASE ** (-torch.arange(0, width, 2, device=x.device, dtype=dtype) / width)
    angles = torch.arange(count, device=x.device, dtype=dtype)[:, None] * rates
    return angles.cos(), angles.sin()
