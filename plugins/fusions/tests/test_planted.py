"""A planted problem with a known answer: which operators can compare two modalities."""

from importlib.metadata import EntryPoint
from typing import Any

import mmlab_fusions
import pytest
import torch
from torch import Tensor, nn

from mmlab.plugin import Features

#: Both signs of one element, and a constant; the label is whether the signs agree.
U = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]])
V = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
AGREE = torch.tensor([True, False, False, True])

MULTIPLYING = (
    "bilinear",
    "bilinear_gated",
    "film",
    "gating",
    "low_rank_bilinear",
    "low_rank_tensor_fusion",
    "multiplicative",
    "multiplicative_interactions",
    "tanh_gating",
)


def make(name: str, **options: Any) -> Any:
    factory = EntryPoint(name, mmlab_fusions.mmlab_fusions()[name], "mmlab").load()
    return factory((2, 2), **options)


def fused(fusion: Any) -> Tensor:
    features = [fusion.project(i, Features.of(x)) for i, x in enumerate((U, V))]
    result: Tensor = fusion.fuse(*features)
    return result


def accuracy_after_training(fusion: Any) -> float:
    """Share of the four samples that the fusion and a linear head get right when trained."""
    head = nn.Linear(fusion.dim, 1)
    optimizer = torch.optim.Adam([*fusion.parameters(), *head.parameters()], lr=0.05)
    for _ in range(150):
        logits = head(fused(fusion)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, AGREE.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(((logits > 0) == AGREE).float().mean())


@pytest.mark.parametrize("name", MULTIPLYING)
def test_operators_that_multiply_learn_whether_two_signs_agree(name: str) -> None:
    torch.manual_seed(0)
    assert accuracy_after_training(make(name, dim=16)) == 1


def test_fixed_products_need_no_more_than_the_head() -> None:
    torch.manual_seed(0)
    assert accuracy_after_training(make("tensor_fusion")) == 1
    assert accuracy_after_training(make("compact_bilinear", dim=16)) == 1


@pytest.mark.parametrize("name", ["concat", "sum"])
def test_operators_that_add_cannot_learn_it(name: str) -> None:
    """No linear map gets more than three of the four right."""
    torch.manual_seed(0)
    assert accuracy_after_training(make(name, dim=16)) <= 0.75
