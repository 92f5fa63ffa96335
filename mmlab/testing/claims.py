"""Claims about tensors and values, and the error that says which one does not hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Largest error of a result relative to its largest value, where only the order of sums may differ.
ORDER_TOLERANCE = 1e-4

#: Largest error in the Euclidean norm relative to the result's, bfloat16 autocast against float32:
#: bfloat16 rounds by up to 2**-9, and a dozen layers add up to some ten roundings.
BF16_TOLERANCE = 0.05


class ContractError(AssertionError):
    """A component breaks its contract; the message says which part."""


def require(claim: bool, message: str) -> None:
    """Raise ContractError with the message unless the claim holds."""
    if not claim:
        raise ContractError(message)


def require_shape(x: object, shape: Sequence[int], name: str) -> None:
    """Require a floating-point tensor of one shape."""
    require(isinstance(x, Tensor), f"{name} must be a tensor, not {type(x).__name__}")
    assert isinstance(x, Tensor)
    found = tuple(x.shape)
    require(found == tuple(shape), f"{name} must have the shape {tuple(shape)}, not {found}")
    require(x.is_floating_point(), f"{name} must be floating point, not {x.dtype}")


def require_finite(x: Tensor, name: str) -> None:
    """Require that no element is NaN or infinite."""
    require(bool(torch.isfinite(x).all()), f"{name} must be finite")


def require_close(
    actual: Tensor, expected: Tensor, message: str, tolerance: float = ORDER_TOLERANCE
) -> None:
    """Require equal shapes and values, to `tolerance` of the largest expected value."""
    require_shape(actual, expected.shape, message)
    actual, expected = actual.detach().cpu().double(), expected.detach().cpu().double()
    allowed = tolerance * max(1e-6, float(expected.abs().max())) if expected.numel() else 0.0
    error = float((actual - expected).abs().max()) if expected.numel() else 0.0
    require(error <= allowed, f"{message}: off by {error:.3g}, allowed {allowed:.3g}")


def require_near(actual: Tensor, expected: Tensor, message: str, tolerance: float) -> None:
    """Require values whose error, as one vector, is at most `tolerance` of the expected norm."""
    actual, expected = actual.detach().double(), expected.detach().double()
    error = float((actual - expected).norm() / expected.norm().clamp(min=1e-6))
    require(error <= tolerance, f"{message}: relative error {error:.3g}, allowed {tolerance}")
