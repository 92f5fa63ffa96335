"""Modules on a GPU that is not there: for torch's fake tensors, which have no numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmlab.model.model import Step

CUDA = torch.device("cuda")


def on_gpu(step: Step) -> Step:
    """The step with its parameters and buffers on the GPU; whatever else it holds stays behind."""
    for module in step.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            moved = _like(parameter)
            module.register_parameter(name, nn.Parameter(moved, parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, _like(buffer))
    return step


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=CUDA)
