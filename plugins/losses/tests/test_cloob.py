import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.cloob import CLOOB
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, SpecError
from mmlab.testing import check_loss

Vectors = list[list[float]]


class Sides:
    """As much of a similarity as the loss reads."""

    def __init__(self, u: Tensor, v: Tensor, present: Sequence[bool] | None = None) -> None:
        self.size = len(u)
        self.present = torch.tensor(present or [True] * len(u))
        self.sides = {"u": Features.of(u), "v": Features.of(v)}


def loss_of(loss: CLOOB, sides: Sides) -> Tensor:
    batch = Batch({}, {}, torch.zeros(sides.size), torch.arange(sides.size), {})
    outputs = Outputs(sides.sides, None, None, sides)  # type: ignore[arg-type]
    return loss(outputs, batch, lambda key, x: sides.sides[key])["loss"]


def unit(x: Sequence[float]) -> list[float]:
    length = math.sqrt(math.fsum(a * a for a in x))
    return [a / length for a in x]


def dot(x: Sequence[float], y: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def retrieve(ask: Sequence[float], stored: Vectors, beta: float) -> list[float]:
    weights = [math.exp(beta * dot(ask, one)) for one in stored]
    mixed = [
        math.fsum(w * one[k] for w, one in zip(weights, stored, strict=True))
        for k in range(len(ask))
    ]
    return unit(mixed)


def info_loob(asks: Vectors, answers: Vectors, scale: float) -> float:
    total = 0.0
    for i, ask in enumerate(asks):
        wrong = [math.exp(scale * dot(ask, y)) for j, y in enumerate(answers) if j != i]
        total += math.log(math.fsum(wrong) / len(wrong)) - scale * dot(ask, answers[i])
    return total / len(asks)


def loss_slowly(u: Vectors, v: Vectors, scale: float, beta: float) -> float:
    x, y = [unit(one) for one in u], [unit(one) for one in v]
    u_x, u_y = ([retrieve(one, x, beta) for one in side] for side in (x, y))
    v_x, v_y = ([retrieve(one, y, beta) for one in side] for side in (x, y))
    return (info_loob(u_x, u_y, scale) + info_loob(v_y, v_x, scale)) / 2


def vectors(size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 3, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("learnt", [False, True])
def test_cloob_keeps_the_contract(learnt: bool) -> None:
    check_loss(CLOOB, learnt=learnt, temperature=0.1)


def test_cloob_is_what_a_slow_loop_gives() -> None:
    loss, u, v = CLOOB(beta=4.0).double(), vectors(5, 0), vectors(5, 1)
    scale = float(loss.scale.log.exp())
    expected = loss_slowly(u.tolist(), v.tolist(), scale, 4.0)
    assert float(loss_of(loss, Sides(u, v))) == pytest.approx(expected, rel=1e-12)


def test_gradients_equal_finite_differences() -> None:
    loss = CLOOB(temperature=0.5).double()
    u, v = vectors(4, 0).requires_grad_(), vectors(4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: loss_of(loss, Sides(x, y)), (u, v))


def test_at_a_very_large_beta_each_retrieves_itself() -> None:
    """Then both terms are the leave-one-out bound of plain vectors, if pairs are equal."""
    loss, u = CLOOB(beta=1e6, temperature=0.5).double(), vectors(5, 0)
    x = F.normalize(u, dim=1).tolist()
    found = float(loss_of(loss, Sides(u, u)))
    assert found == pytest.approx(info_loob(x, x, 2.0), rel=1e-6)


def test_absent_pairs_are_not_retrieved() -> None:
    loss, u, v = CLOOB().double(), vectors(5, 0), vectors(5, 1)
    kept = loss_of(loss, Sides(u[1:], v[1:]))
    torch.testing.assert_close(loss_of(loss, Sides(u, v, [False, True, True, True, True])), kept)


def test_the_temperature_is_fixed_at_a_thirtieth() -> None:
    assert not list(CLOOB().parameters())
    assert CLOOB().calibration().scale == pytest.approx(30)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(SpecError, match="cloob compares the samples"):
        loss_of(CLOOB(), Sides(torch.ones(1, 3), torch.ones(1, 3)))


def test_projections_of_two_widths_are_refused() -> None:
    with pytest.raises(SpecError, match="widths 3 and 2"):
        loss_of(CLOOB(), Sides(torch.ones(2, 3), torch.ones(2, 2)))
