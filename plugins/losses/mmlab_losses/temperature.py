"""The number that scores are multiplied with: learnt or fixed, and kept within bounds."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

Temperature = Annotated[
    float, Field(ge=0.01, le=1, description="scores are divided by it; at the start, if learnt")
]
Learnt = Annotated[bool, Field(description="whether training changes the temperature")]

#: CLIP's limit: beyond, training becomes unstable.
LARGEST = 100.0


class Scale(nn.Module):
    """1 / temperature = exp(log), in [1, largest] after each step.

    `log` has no axis, which keeps weight decay from it; it is a buffer where nothing is learnt.
    """

    log: Tensor

    def __init__(self, temperature: float, is_learnt: bool, largest: float = LARGEST) -> None:
        super().__init__()
        self.largest = largest
        log = torch.tensor(-math.log(temperature))
        if is_learnt:
            self.log = nn.Parameter(log)
        else:
            self.register_buffer("log", log)

    def forward(self) -> Tensor:
        """The scale, a tensor without axes."""
        return self.log.exp()

    @torch.no_grad()
    def clamp(self) -> None:
        """Bring the scale back into its bounds."""
        self.log.clamp_(0, math.log(self.largest))

    def value(self) -> float:
        """The scale, read from the device."""
        return float(self.log.detach().exp())
