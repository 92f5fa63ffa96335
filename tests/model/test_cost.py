"""What a model costs, against sums by hand."""

from __future__ import annotations

import torch
from support.planted import Vector
from support.products import Product, batch
from torch import nn

from mmlab.model.model import Model, Step
from mmlab.model.width import count_flops, count_parameters
from mmlab.plugin import Features


class Joined(Product):
    """Matrices in `project`, in `fuse`, inside and outside of modules of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3))
        self.map = nn.Linear(3, 3, bias=False)

    def project(self, position: int, features: Features) -> Features:
        return Features.of(features.pooled @ self.weight)

    def fuse(self, *features: Features) -> torch.Tensor:
        fused: torch.Tensor = self.map(features[0].pooled * features[1].pooled)
        return fused


def model(head: nn.Module | None = None) -> Model:
    return Model({"image": Vector(), "text": Vector()}, Joined(), ["image", "text"], head=head)


def test_parameters_are_counted_by_part() -> None:
    step = Step(model(nn.Linear(3, 5)), {"other": nn.Linear(1, 1)}, {"other": 1.0})
    parts = count_parameters(step)
    assert parts == {"encoders": 2 * (6 + 3), "fusion": 9 + 9, "head": 15 + 5, "losses": 2}
    assert sum(parts.values()) == sum(p.numel() for p in step.parameters())


def test_operations_are_counted_by_part_and_for_one_sample() -> None:
    """A matrix of n x m takes n m multiplications and additions."""
    expected = {"encoders": 2 * 2 * 6, "fusion": 2 * 3 * 9, "head": 2 * 15}
    assert count_flops(model(nn.Linear(3, 5)), batch(7)) == expected


def test_without_a_head_and_without_a_fused_vector_projections_are_left() -> None:
    counts = count_flops(model(), batch(7))
    assert counts == {"encoders": 2 * 2 * 6, "fusion": 2 * 2 * 9, "head": 0}


def test_counting_leaves_the_mode_as_it_was() -> None:
    one = model(nn.Linear(3, 5))
    for mode in (True, False):
        one.train(mode)
        count_flops(one, batch(2))
        assert one.training is mode
    assert all(p.grad is None for p in one.parameters())


def test_fused_transformer_layers_are_counted() -> None:
    """In evaluation torch runs them as one operation, which its counter knows nothing of."""

    class Transformer(Vector):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(3, 1, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> Features:
            return Features.of(self.layer(self.map(x).unsqueeze(1)).squeeze(1))

    one = Model({"image": Transformer(), "text": Vector()}, Joined(), ["image", "text"])
    maps, attention = 2 * 6 + 2 * (6 + 3 * 9 + 9 + 2 * 12), 2 * 2 * 3
    assert count_flops(one, batch(2))["encoders"] == maps + attention
