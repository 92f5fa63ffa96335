import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from mmlab_losses.regression import MeanAbsoluteError, MeanSquaredError
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Shapes
from mmlab.testing import check_loss

DEVIATIONS = (2.0, 0.5)
SHAPES = Shapes({}, 4, (), (), False, {}, targets=("age", "height"), target_deviations=DEVIATIONS)
PREDICTION = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]])
TARGETS = [[2.0, 2.5], [math.nan, 1.0], [0.0, math.nan]]

Loss = type[MeanSquaredError] | type[MeanAbsoluteError]
BOTH = pytest.mark.parametrize(
    ("factory", "cost"), [(MeanSquaredError, lambda e: e * e), (MeanAbsoluteError, abs)]
)


def no_encoder(key: str, x: Tensor) -> Features:
    raise AssertionError("a regression encodes nothing")


def scalars(
    loss: Any, prediction: Tensor = PREDICTION, targets: Sequence[Sequence[float]] = TARGETS
) -> Mapping[str, Tensor]:
    count = len(targets)
    unlabelled = torch.full((count,), -1)
    batch = Batch({}, {}, unlabelled, torch.arange(count), {}, torch.tensor(targets))
    found: Mapping[str, Tensor] = loss(Outputs({}, None, prediction, None), batch, no_encoder)
    return found


@BOTH
def test_a_regression_keeps_the_contract(factory: Loss, cost: Callable[[float], float]) -> None:
    check_loss(factory)


@BOTH
def test_it_is_the_mean_over_what_is_known_in_deviations(
    factory: Loss, cost: Callable[[float], float]
) -> None:
    costs = [
        cost((p - t) / d)
        for predicted, true in zip(PREDICTION.tolist(), TARGETS, strict=True)
        for p, t, d in zip(predicted, true, DEVIATIONS, strict=True)
        if not math.isnan(t)
    ]
    assert len(costs) == 4
    found = scalars(factory(SHAPES))["loss"]
    assert float(found) == pytest.approx(math.fsum(costs) / 4, rel=1e-6)


@BOTH
def test_unknown_targets_give_no_gradient(factory: Loss, cost: Callable[[float], float]) -> None:
    prediction = PREDICTION.clone().requires_grad_()
    scalars(factory(SHAPES), prediction)["loss"].backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert ((prediction.grad == 0) == torch.tensor(TARGETS).isnan()).all()


@BOTH
def test_the_unit_of_a_target_does_not_matter(
    factory: Loss, cost: Callable[[float], float]
) -> None:
    known = [[2.0, 2.5], [1.0, 1.0], [0.0, 3.0]]
    millimetres = replace(SHAPES, target_deviations=(2.0, 500.0))
    scale = torch.tensor([1.0, 1000.0])
    found = scalars(
        factory(millimetres), PREDICTION * scale, (torch.tensor(known) * scale).tolist()
    )
    torch.testing.assert_close(found["loss"], scalars(factory(SHAPES), PREDICTION, known)["loss"])
