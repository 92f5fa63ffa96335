import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from mmlab_losses.binary_cross_entropy import BinaryCrossEntropy
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Shapes, SpecError
from mmlab.testing import check_loss
from mmlab.testing.passes import SHAPES as MADE_UP

SHAPES = Shapes({}, 4, ("a", "b", "c"), (6, 2, 0), True, {}, labelled_count=8)
LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [-0.4, 1.0, 2.0], [0.3, 0.2, 0.1]])
#: The third has none of the labels, and those of the fourth are unknown.
TARGET = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [math.nan] * 3]


def no_encoder(key: str, x: Tensor) -> Features:
    raise AssertionError("binary_cross_entropy encodes nothing")


def scalars(
    loss: BinaryCrossEntropy, logits: Tensor = LOGITS, target: Sequence[Sequence[float]] = TARGET
) -> Mapping[str, Tensor]:
    batch = Batch({}, {}, torch.tensor(target), torch.arange(len(target)), {})
    return loss(Outputs({}, None, logits, None), batch, no_encoder)


@pytest.mark.parametrize("weight", ["equal", "balanced", {"a": 2.0, "c": 0.5}])
def test_binary_cross_entropy_keeps_the_contract(weight: Any) -> None:
    check_loss(
        BinaryCrossEntropy,
        shapes=replace(MADE_UP, is_multi_label=True, labelled_count=6),
        positive_weight=weight,
    )


@pytest.mark.parametrize(
    ("option", "weights"),
    [("equal", (1, 1, 1)), ("balanced", (2 / 6, 6 / 2, 1)), ({"b": 5.0}, (1, 5, 1))],
)
def test_it_is_what_a_slow_loop_gives(option: Any, weights: Sequence[float]) -> None:
    costs = []
    for row, truth in zip(LOGITS.tolist()[:3], TARGET[:3], strict=True):
        for x, y, p in zip(row, truth, weights, strict=True):
            s = 1 / (1 + math.exp(-x))
            costs.append(-(p * y * math.log(s) + (1 - y) * math.log(1 - s)))
    found = scalars(BinaryCrossEntropy(SHAPES, positive_weight=option))["loss"]
    assert float(found) == pytest.approx(math.fsum(costs) / len(costs), rel=1e-6)


def test_unknown_labels_give_no_gradient_and_none_of_them_pushes_every_label_down() -> None:
    logits = LOGITS.clone().requires_grad_()
    scalars(BinaryCrossEntropy(SHAPES), logits)["loss"].backward()
    assert logits.grad is not None
    assert (logits.grad[2] > 0).all()
    assert logits.grad[3].tolist() == [0, 0, 0]


def test_balanced_weights_give_presence_and_absence_of_a_label_one_sum() -> None:
    """For every label the gradient at logit 0, over a split with these counts, adds up to 0."""
    target = torch.tensor([[1.0, 0]] * 6 + [[0.0, 1]] * 2)
    shapes = replace(SHAPES, labels=("a", "b"), label_counts=(6, 2))
    logits = torch.zeros(8, 2, requires_grad=True)
    loss = BinaryCrossEntropy(shapes, positive_weight="balanced")
    scalars(loss, logits, target.tolist())["loss"].backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(2))


def test_one_label_per_sample_is_refused() -> None:
    with pytest.raises(SpecError, match="found: a single-label dataset"):
        BinaryCrossEntropy(replace(SHAPES, is_multi_label=False))


def test_a_weight_of_no_label_is_refused() -> None:
    with pytest.raises(SpecError, match=r"no label of this name \(did you mean 'a'\?\)"):
        BinaryCrossEntropy(SHAPES, positive_weight={"aa": 2.0})
