"""What the fusions here share about their inputs: how many, and what an absent one counts as."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmlab.plugin import Features, SpecError, explain


def present_or_zero(features: Features) -> Tensor:
    """Pooled features (..., D), with zeros for absent samples, whatever their values were.

    Zero before a map without bias is zero after it, and no gradient passes to the absent sample.
    """
    return features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)


def require_two_inputs(name: str, dims: Sequence[int]) -> None:
    """Raise SpecError unless a fusion of exactly two inputs got two."""
    if len(dims) == 2:
        return
    raise SpecError(
        explain(
            "fusion.inputs",
            f"{name} joins exactly two inputs",
            found=f"{len(dims)}",
            allowed="two encoders",
            next_step="set fusion.inputs to two encoder keys",
        )
    )
