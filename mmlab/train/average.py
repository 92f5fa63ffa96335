"""An exponential moving average (EMA) of the weights, often better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.model.device import local


class Average:
    """Exponential moving average of parameters: a <- d a + (1 - d) w after each step.

    d is `decay`, but (1 + t) / (10 + t) after step t where that is less: an average of few steps
    would be little but the first weights. Buffers are no part of it. Of parameters that are sharded
    over processes each averages its part.

    Source: Polyak averaging as in the training of Inception, Szegedy et al., arXiv:1512.00567,
    section 8; the growing d is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.parameters = [local(p.detach()) for p in parameters]
        self.values: list[Tensor] = [p.clone() for p in self.parameters]
        self.is_in_place = False

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps, the first being 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, self.parameters, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average in the place of the weights, or the weights back."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            kept = parameter.clone()
            parameter.copy_(value)
            value.copy_(kept)
        self.is_in_place = not self.is_in_place

    @contextmanager
    def in_place(self, wanted: bool = True) -> Iterator[None]:
        """The average in the place of the weights while the block runs, or not, if that is wanted.

        What was before is then again.
        """
        if self.is_in_place == wanted:
            yield
            return
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """The average, while the weights are in the model; the decay is not of the state."""
        return {"values": self.values}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from such an average."""
        for own, value in zip(self.values, state_dict["values"], strict=True):
            own.copy_(value)
