"""Losses that divide vectors by their lengths: nothing explodes where these are next to nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmlab_losses.cloob import CLOOB
from mmlab_losses.simclr import SimCLR
from mmlab_losses.similarity_regularisation import SimilarityRegularisation
from mmlab_losses.simsiam import SimSiam
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Shapes

SIZE = 5
KEYS = ("u", "v")


class Sides:
    """As much of a similarity as these losses read."""

    def __init__(self, u: Tensor, v: Tensor) -> None:
        self.size = len(u)
        self.present = torch.ones(self.size, dtype=torch.bool)
        self.sides = {"u": Features.of(u), "v": Features.of(v)}


def vectors(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SIZE, 4, generator=generator, dtype=torch.float64)


def value(loss: Any, u: Tensor, further: Tensor) -> Tensor:
    """The loss of features u beside others, and of a further view of each."""
    sides = Sides(u, vectors(1))
    there = {key: sides.present for key in KEYS}
    views = {key: torch.zeros(1, SIZE) for key in KEYS}
    batch = Batch({}, there, torch.full((SIZE,), -1), torch.arange(SIZE), views)
    outputs = Outputs(sides.sides, None, None, sides)  # type: ignore[arg-type]
    found: Tensor = loss.double()(outputs, batch, lambda key, x: Features.of(further))["loss"]
    return found


MAKERS: dict[str, Callable[[Shapes], Any]] = {
    "cloob": lambda shapes: CLOOB(),
    "similarity_regularisation": lambda shapes: SimilarityRegularisation(),
    "simclr": lambda shapes: SimCLR(shapes, encoder="u"),
    "simsiam": lambda shapes: SimSiam(shapes, encoder="u"),
}


#: simsiam's three batch norms divide by sqrt(1e-5) at the least, before any length does.
BOUNDS = {"cloob": 1e5, "similarity_regularisation": 1e5, "simclr": 1e5, "simsiam": 1e9}


@pytest.mark.parametrize("length", [0.0, *(10.0**-k for k in range(16))])
@pytest.mark.parametrize("name", MAKERS)
def test_the_gradient_of_short_vectors_is_bounded(name: str, length: float, shapes: Shapes) -> None:
    torch.manual_seed(0)
    u = (length * vectors(0)).requires_grad_()
    loss = value(MAKERS[name](shapes), u, length * vectors(2))
    loss.backward()
    assert loss.isfinite()
    assert u.grad is not None
    assert u.grad.abs().max() < BOUNDS[name]  # NaN would be no less
