import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from mmlab_losses.sigmoid import Sigmoid
from torch import Tensor

from mmlab.plugin import Shapes
from mmlab.testing import check_loss

Loss = Callable[..., Tensor]


def loss_slowly(scale: float, bias: float, scores: list[list[float]]) -> float:
    total = 0.0
    for i, row in enumerate(scores):
        for j, score in enumerate(row):
            sign = 1 if i == j else -1
            total += math.log1p(math.exp(-sign * (scale * score + bias)))
    return total / len(scores)


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5, "bias": 1.0}, {"learnt": False}, {"positives": "labels"}]
)
def test_sigmoid_keeps_the_contract(options: dict[str, Any]) -> None:
    check_loss(Sigmoid, **options)


def test_sigmoid_is_what_a_slow_loop_gives(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, scores = Sigmoid(shapes, temperature=0.25, bias=-2.0).double(), random_scores(5)
    expected = loss_slowly(float(loss.scale.log.detach().exp()), -2.0, scores.tolist())
    assert float(loss_of(loss, scores).detach()) == pytest.approx(expected, rel=1e-12)


def test_directions_that_differ_count_with_their_mean(
    shapes: Shapes, loss_of: Loss, random_scores: Loss
) -> None:
    loss, forward, backward = Sigmoid(shapes), random_scores(4), random_scores(4, seed=1)
    both = (loss_of(loss, forward) + loss_of(loss, backward)) / 2
    torch.testing.assert_close(loss_of(loss, forward, backward), both)


@pytest.mark.parametrize(
    ("size", "bias", "expected"),
    [
        (256, -10.0, 10.01),
        pytest.param(4096, -10.0, 10.19, marks=pytest.mark.slow),
        (256, 0.0, 256 * math.log(2)),
    ],
)
def test_the_first_loss_of_unrelated_pairs_is_known(
    shapes: Shapes, loss_of: Loss, size: int, bias: float, expected: float
) -> None:
    found = loss_of(Sigmoid(shapes, bias=bias, chunk=1024), torch.zeros(size, size))
    assert float(found.detach()) == pytest.approx(expected, abs=0.006)


def test_it_starts_where_siglip_starts_and_says_so(
    shapes: Shapes, scalars: Callable[..., Mapping[str, Tensor]]
) -> None:
    loss = Sigmoid(shapes)
    calibration = loss.calibration()
    assert (calibration.kind, calibration.bias) == ("sigmoid", -10.0)
    assert calibration.scale == pytest.approx(10)
    found = scalars(loss, torch.zeros(3, 3))
    assert float(found["scale"]) == pytest.approx(10)
    assert float(found["bias"]) == -10


def test_weight_decay_reaches_neither_scale_nor_bias(shapes: Shapes) -> None:
    assert {p.ndim for p in Sigmoid(shapes).parameters()} == {0}


@pytest.mark.parametrize(("pushed", "kept"), [(9.0, math.log(1000)), (-1.0, 0.0), (5.0, 5.0)])
def test_the_scale_may_pass_clip_s_limit(shapes: Shapes, pushed: float, kept: float) -> None:
    loss = Sigmoid(shapes)
    loss.scale.log.data.fill_(pushed)
    loss.after_step()
    assert float(loss.scale.log.detach()) == pytest.approx(kept)


def test_a_batch_of_one_is_a_right_pair(shapes: Shapes, loss_of: Loss) -> None:
    found = loss_of(Sigmoid(shapes, bias=0.0), torch.zeros(1, 1))
    assert float(found.detach()) == pytest.approx(math.log(2))


def test_pairs_of_one_group_are_right(shapes: Shapes, loss_of: Loss) -> None:
    scores = torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    grouped = loss_of(Sigmoid(shapes, positives="labels", bias=0.0), scores, target=[1, 1, 0])
    assert float(grouped.detach()) == pytest.approx(3 * math.log1p(math.exp(-10)), rel=1e-5)


def test_aligned_pairs_at_scale_100_give_no_nan(shapes: Shapes, loss_of: Loss) -> None:
    scores = torch.eye(64, requires_grad=True)
    found = loss_of(Sigmoid(shapes, temperature=0.01), scores)
    found.backward()
    assert float(found.detach()) < 0.01
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
