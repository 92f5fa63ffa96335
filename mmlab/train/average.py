"""An average of the weights over the last steps, which is often better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmlab.model.sharding import local


class Average:
    """Exponential moving average of parameters: a <- d a + (1 - d) w after each step.

    d is `decay`, but (1 + t) / (10 + t) after step t where that is less: an average of few steps
    would be little but the first weights. Buffers are no part of it. Of parameters that are spread
    over processes each averages its part.

    Source: Polyak averaging as in the training of Inception, Szegedy et al., arXiv:1512.00567,
    section 8; the growing d is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.parameters = [local(p.detach()) for p in parameters]
        self.values: list[Tensor] = [p.clone() for p in self.parameters]
        self._is_in_place = False

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

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the place of the weights while the block runs."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
