"""Adafactor: an optimiser with little state, which reads nothing back from the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mmlab.train.optimizers import (
    WHOLE_ONLY,
    ParameterGroup,
    changed_tensors,
    kept_where,
    parameters_of,
)


class Adafactor(torch.optim.Optimizer):
    """Adafactor: of each matrix's squared gradients only row and column means are kept.

    The numbers of torch's Adafactor, which reads two norms of each parameter back from the device
    at every step; this one reads nothing. `train.lr` is relative: a step changes a parameter
    by at most lr, or one over the root of the step if that is less, times its root mean square.
    1e-2 is usual. Weight decay is decoupled. Source: Shazeer and Stern, arXiv:1804.04235.
    """

    parallel = WHOLE_ONLY

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
        lr: float,
        *,
        beta2_decay: Annotated[
            float, Field(le=0, description="the decay of the means is 1 - step ** beta2_decay")
        ] = -0.8,
        eps: Annotated[
            tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
            Field(description="least root mean square of a gradient, and of a parameter"),
        ] = (2.0**-23, 1e-3),
        clip: Annotated[
            float, Field(ge=1, description="largest root mean square of an update, before the rate")
        ] = 1.0,
    ) -> None:
        super().__init__(groups, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "clip": clip})
        for parameter in parameters_of(self):
            self.state[parameter] = _start_means(parameter)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, changed_tensors(self)):
            self.step()

    def _update(self, parameter: Tensor, gradient: Tensor, group: ParameterGroup) -> None:
        (least, least_size), lr = group["eps"], group["lr"]
        state, root = self.state[parameter], math.sqrt(parameter.numel())
        count = state["count"].add_(1)
        rate = count.rsqrt().clamp(max=lr)
        rate = rate * (torch.linalg.vector_norm(parameter) / root).clamp(min=least_size)
        parameter.mul_(1 - lr * group["weight_decay"])
        update = _mean_square(state, gradient, count ** group["beta2_decay"], least)
        update = update.clamp_(min=least * least).rsqrt_().mul_(gradient)
        excess = (torch.linalg.vector_norm(update) / (root * group["clip"])).clamp(min=1)
        parameter.sub_(update.mul_(rate / excess))


def _start_means(parameter: Tensor) -> dict[str, Tensor]:
    """Adafactor's state of a parameter before its first step: all on its device."""
    zeros = torch.zeros_like(parameter)
    if parameter.ndim < 2:
        return {"count": zeros.new_zeros(()), "variance": zeros}
    rows, columns = zeros[..., :1].contiguous(), zeros[..., :1, :].contiguous()
    return {"count": zeros.new_zeros(()), "row_var": rows, "col_var": columns}


def _mean_square(state: dict[str, Tensor], gradient: Tensor, new: Tensor, least: float) -> Tensor:
    """Take the gradient in with a weight of `new`, and estimate each element's mean square."""
    if gradient.ndim < 2:
        return state["variance"].lerp_(gradient * gradient, new).clone()
    rows, columns = state["row_var"], state["col_var"]
    squares = gradient * gradient
    rows.lerp_(squares.mean(dim=-1, keepdim=True), new)
    columns.lerp_(squares.mean(dim=-2, keepdim=True), new)
    return (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))
