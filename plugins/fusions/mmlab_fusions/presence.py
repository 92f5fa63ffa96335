"""What every fusion does about a sample that lacks a modality: its features count as zero."""

from __future__ import annotations

from torch import Tensor

from mmlab.plugin import Features


def present_or_zero(features: Features) -> Tensor:
    """Pooled features (..., D), with zeros for absent samples, whatever their values were.

    Zero before a map without bias is zero after it, and no gradient passes to the absent sample.
    """
    return features.pooled.masked_fill(~features.present.unsqueeze(-1), 0)
