"""Losses of a regression: squared and absolute error of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Outputs, Shapes


class _Regression(nn.Module):
    """What both errors share: deviations of the targets, and a mean over what is known."""

    reads: ClassVar[frozenset[str]] = frozenset({"prediction", "targets"})
    views = 0
    deviations: Tensor

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        deviations = torch.tensor(shapes.target_deviations)
        self.register_buffer("deviations", deviations, persistent=False)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss on this batch."""
        assert outputs.prediction is not None, "declared in `reads`"
        assert batch.targets is not None, "declared in `reads`"
        prediction = outputs.prediction
        prediction = prediction.to(torch.promote_types(prediction.dtype, torch.float32))  # (B, T)
        is_known = ~batch.targets.isnan()
        # An unknown target never meets the prediction: 0 * NaN is NaN in a gradient.
        target = torch.where(is_known, batch.targets.to(prediction.dtype), 0)
        error = torch.where(is_known, (prediction - target) / self.deviations, 0)
        return {"loss": self.cost(error).sum() / is_known.sum().clamp(min=1)}

    def cost(self, error: Tensor) -> Tensor:
        """What an error costs, elementwise; 0 for none."""
        raise NotImplementedError


class MeanSquaredError(_Regression):
    """Mean of ((prediction - target) / deviation)^2 over known targets; 0 where none is known.

    The deviation is the target's standard deviation in the training split, so that targets of
    different units count alike; always predicting the training mean costs about 1. Best for the
    mean of what is uncertain. Computed in float32 at least.
    """

    numerics = 1

    def cost(self, error: Tensor) -> Tensor:
        """The square."""
        return error.square()


class MeanAbsoluteError(_Regression):
    """Mean of |prediction - target| / deviation over known targets; 0 where none is known.

    As `mse`, but best for the median of what is uncertain: outliers pull less. Its gradient at an
    error of exactly 0 is 0.
    """

    numerics = 1

    def cost(self, error: Tensor) -> Tensor:
        """The absolute value."""
        return error.abs()
