"""What the fusions here share about their inputs: what an absent one counts as, and widths."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from mmlab.plugin import Features, SpecError, explain


def present_or_zero(features: Features) -> Tensor:
    """Pooled features (..., D), with zeros for absent samples, whatever their values were.

    Zero before a map without bias is zero after it, and no gradient passes to the absent sample.
    """
    return features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)


def zero_where_all_absent(x: Tensor, features: Sequence[Features]) -> Tensor:
    """A result (..., D), with zeros for samples of which no input is present."""
    present = reduce(torch.logical_or, (f.present for f in features))
    return x.masked_fill(~present.unsqueeze(-1), 0)


def product(features: Sequence[Features]) -> Tensor:
    """Elementwise product of all inputs (..., D), 0 for samples of which none is present.

    What is absent must be 1 already: the neutral element, which leaves the others as they are.
    """
    return zero_where_all_absent(reduce(torch.mul, (f.pooled for f in features)), features)


def side_by_side(columns: Sequence[Tensor]) -> Tensor:
    """One number for each input, (...) each, as (..., inputs). Leading axes broadcast."""
    shapes = (column.shape for column in columns)
    shape = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return torch.stack([column.expand(shape) for column in columns], dim=-1)


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers in float32; float64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def require_heads(dim: int, heads: int) -> None:
    """Raise SpecError unless every head gets equally many dimensions."""
    if dim % heads == 0:
        return
    raise SpecError(
        explain(
            "fusion.heads",
            "attention heads must divide the width",
            found=f"width {dim}, heads {heads}",
            allowed="a width that is a multiple of heads",
            next_step="change fusion.dim or fusion.heads",
        )
    )
