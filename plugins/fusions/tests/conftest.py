import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mmlab.plugin import Features

Fuse = Callable[..., Tensor]


@pytest.fixture
def fuse() -> Fuse:
    """A fusion's result for tensors, all of whose rows are present, or for features."""

    def project_and_fuse(fusion: Any, *inputs: Tensor | Features) -> Tensor:
        features = [x if isinstance(x, Features) else Features.of(x) for x in inputs]
        fused: Tensor = fusion.fuse(*(fusion.project(i, f) for i, f in enumerate(features)))
        return fused

    return project_and_fuse


@pytest.fixture
def absent() -> Callable[[int], Features]:
    """Three samples that all lack an input of this width, and hold NaN."""
    return lambda width: Features(
        torch.full((3, width), torch.nan), None, None, torch.zeros(3, dtype=torch.bool)
    )


@pytest.fixture
def random() -> Callable[..., Tensor]:
    """Standard normal numbers in float64, other ones at every call."""
    source = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=source, dtype=torch.float64)


@pytest.fixture
def apply() -> Callable[[Tensor, list[float]], list[float]]:
    """A matrix times a vector, by plain loops."""
    return lambda matrix, x: [
        math.fsum(w * a for w, a in zip(row, x, strict=True)) for row in matrix.tolist()
    ]
