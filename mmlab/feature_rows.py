"""Rows of features: those of several groups of samples joined, and some of them taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from mmlab.plugin import Features


def join_rows(parts: Sequence[Features]) -> Features:
    """Features of several groups of samples as those of one."""
    first = parts[0]
    return Features(
        torch.cat([part.pooled for part in parts]),
        None if first.tokens is None else torch.cat([cast(Tensor, p.tokens) for p in parts]),
        None if first.mask is None else torch.cat([cast(Tensor, p.mask) for p in parts]),
        torch.cat([part.present for part in parts]),
    )


def take_rows(features: Features, index: slice | Tensor) -> Features:
    """Some rows of features: a slice is a view, an index (m,) a copy."""
    return features.map(lambda x: x[index.to(x.device) if isinstance(index, Tensor) else index])
