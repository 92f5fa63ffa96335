"""The scale and bias that a model was trained to multiply and add to its cosines."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmlab.plugin import Calibration


class Temperature(nn.Module):
    """A model's logit scale (as its logarithm) and bias, as buffers: they are never trained here.

    A model with a bias was trained with a sigmoid for each pair (SigLIP), one without with a
    softmax over labels. A loss that trains the towers further owns a temperature itself.
    """

    log_scale: Tensor
    bias: Tensor

    def __init__(self, log_scale: float, bias: float | None) -> None:
        super().__init__()
        self.has_bias = bias is not None
        self.register_buffer("log_scale", torch.tensor(log_scale))
        self.register_buffer("bias", torch.tensor(bias or 0.0))

    def calibration(self) -> Calibration:
        """How this model's scores become probabilities."""
        scale, bias = self.log_scale.exp().item(), self.bias.item()
        return Calibration(scale, bias, "sigmoid" if self.has_bias else "softmax")
