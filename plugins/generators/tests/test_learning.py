"""Both generators learn a tiny problem: which of two pictures a vector asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmlab_generators.dit import DiT
from mmlab_generators.unet import UNet
from torch import Tensor, nn

from mmlab.plugin import Condition, Features

VECTORS = torch.eye(2)
SMALL: list[Callable[[], nn.Module]] = [
    lambda: DiT((None,), 2, size=8, dim=32, depth=2, heads=2),
    lambda: UNet(2, size=8, width=8, levels=2),
]


def pictures() -> Tensor:
    """White on the left and black on the right, and the other way round: uint8."""
    left = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    left[..., :4] = 255
    return torch.stack([left, 255 - left])


def condition_of(which: Tensor, present: Tensor) -> Condition:
    vectors = VECTORS[which]
    return Condition((Features.of(vectors),), vectors, present)


def train(generator: Any, steps: int) -> None:
    optimizer = torch.optim.Adam(generator.parameters(), 3e-3)
    targets = pictures()
    for _ in range(steps):
        which = torch.randint(2, (16,))
        condition = condition_of(which, torch.rand(16) > 0.2)
        noise = torch.randn(16, *generator.shape)
        loss = generator.terms(targets[which], condition, noise, torch.rand(16))["loss"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.slow
@pytest.mark.parametrize("make", SMALL, ids=["dit", "unet"])
def test_it_draws_what_is_asked_for(make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    generator = make()
    train(generator, 300)
    which = torch.arange(2).repeat(8)
    asked = condition_of(which, torch.ones(16, dtype=torch.bool))
    noise = torch.randn(16, *generator.shape)
    expected = pictures()[which].float() / 127.5 - 1
    for guidance in (1.0, 2.0):
        drawn = generator.sample(asked, noise, steps=12, guidance=guidance).clamp(-1, 1)
        assert float((drawn - expected).abs().mean()) < 0.25  # at random: 1
