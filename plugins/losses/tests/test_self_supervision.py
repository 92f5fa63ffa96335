"""SimSiam and SimCLR: what they give for given features of two views."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.batch_norm import BatchNorm
from mmlab_losses.simclr import SimCLR
from mmlab_losses.simsiam import SimSiam
from torch import Tensor, nn

from mmlab.plugin import Batch, Features, Outputs, Shapes, SpecError
from mmlab.testing import check_loss

SMALL = {"hidden": 7, "dim": 8}


def vectors(size: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, width, dtype=torch.float64, generator=generator)


def scalars(
    loss: Any, first: Tensor, second: Tensor, present: Sequence[bool] | None = None
) -> Mapping[str, Tensor]:
    """What a loss gives whose encoder turns the batch into `first` and its views into `second`."""
    is_there = torch.tensor(present or [True] * len(first))
    features = {"u": Features(first, None, None, is_there)}
    batch = Batch({}, {}, torch.zeros(len(first)), torch.arange(len(first)), {"u": second[None]})
    given: Mapping[str, Tensor] = loss(
        Outputs(features, None, None, None), batch, lambda key, x: Features.of(x)
    )
    return given


@pytest.mark.parametrize("encoder", ["image", "text"])
def test_simsiam_keeps_the_contract(encoder: str) -> None:
    check_loss(SimSiam, encoder=encoder, stops_gradient=True, **SMALL)


@pytest.mark.parametrize("encoder", ["image", "text"])
def test_simclr_keeps_the_contract(encoder: str) -> None:
    check_loss(SimCLR, encoder=encoder, **SMALL)


def nt_xent_slowly(z: list[list[float]], temperature: float) -> float:
    """Of views 0 to n - 1 and their other views n to 2 n - 1."""
    size, total = len(z), 0.0
    for i in range(size):
        scores = {
            k: math.fsum(a * b for a, b in zip(z[i], z[k], strict=True)) / temperature
            for k in range(size)
            if k != i
        }
        log_sum = math.log(math.fsum(math.exp(score) for score in scores.values()))
        total += log_sum - scores[(i + size // 2) % size]
    return total / size


def test_simclr_is_what_a_slow_loop_gives(shapes: Shapes) -> None:
    loss = SimCLR(shapes, encoder="u", temperature=0.3, **SMALL).double()
    first, second = vectors(5, 4, 0), vectors(5, 4, 1)
    z = F.normalize(loss.projector(torch.cat([first, second])), dim=1).tolist()
    found = float(scalars(loss, first, second)["loss"].detach())
    assert found == pytest.approx(nt_xent_slowly(z, 0.3), rel=1e-12)


def test_simclr_s_gradients_equal_finite_differences(shapes: Shapes) -> None:
    loss = SimCLR(shapes, encoder="u", temperature=0.5, **SMALL).double()
    views = vectors(4, 4, 0).requires_grad_(), vectors(4, 4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: scalars(loss, a, b)["loss"], views)


def test_simclr_of_views_that_all_look_alike_costs_the_log_of_the_others(shapes: Shapes) -> None:
    found = scalars(SimCLR(shapes, encoder="u"), torch.ones(4, 4), torch.ones(4, 4))
    assert float(found["loss"].detach()) == pytest.approx(math.log(7), rel=1e-6)


@pytest.mark.parametrize("loss", [SimCLR, SimSiam])
def test_samples_that_are_not_there_take_no_part(loss: type[nn.Module], shapes: Shapes) -> None:
    torch.manual_seed(0)
    made = loss(shapes, encoder="u", **SMALL).double()
    first, second = vectors(5, 4, 0).requires_grad_(), vectors(5, 4, 1)
    found = scalars(made, first, second, [True, True, False, True, True])["loss"]
    kept = torch.tensor([0, 1, 3, 4])
    torch.testing.assert_close(found, scalars(made, first[kept], second[kept])["loss"])
    found.backward()
    assert first.grad is not None
    assert first.grad[2].abs().max() == 0


def simsiam_slowly(loss: SimSiam, first: Tensor, second: Tensor) -> Tensor:
    """By the library's own batch norm, layer by layer."""

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    z1, z2 = (
        norm(F.relu(norm(F.relu(norm(x @ a.T)) @ b.T)) @ c.T)
        for a, b, c in [[linear.weight for linear in loss.maps]]
        for x in (first, second)
    )
    p1, p2 = (loss.widen(F.relu(norm(loss.narrow(z)))) for z in (z1, z2))
    halves = F.cosine_similarity(p1, z2.detach()) + F.cosine_similarity(p2, z1.detach())
    return (4 - 2 * halves).mean()


@pytest.mark.parametrize("predictor", [None, 11])
def test_simsiam_and_its_gradients_are_what_plain_layers_give(
    predictor: int | None, shapes: Shapes
) -> None:
    torch.manual_seed(0)
    loss = SimSiam(shapes, encoder="u", predictor=predictor, **SMALL).double()
    assert loss.narrow.out_features == (predictor or 2)
    first, second = vectors(6, 4, 0), vectors(6, 4, 1)
    gradients = []
    for compute in (
        lambda a, b: scalars(loss, a, b)["loss"],
        lambda a, b: simsiam_slowly(loss, a, b),
    ):
        views = first.clone().requires_grad_(), second.clone().requires_grad_()
        value = compute(*views)
        gradients.append([value, *torch.autograd.grad(value, [*views, *loss.maps.parameters()])])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_target_of_simsiam_gets_no_gradient(shapes: Shapes) -> None:
    """With the predictor's way closed, nothing is left."""
    loss = SimSiam(shapes, encoder="u", **SMALL)
    loss.widen.weight.data.zero_()
    first = torch.randn(4, 4, requires_grad=True)
    scalars(loss, first, torch.randn(4, 4))["loss"].backward()
    assert first.grad is not None
    assert first.grad.abs().max() == 0


def test_simsiam_tells_when_features_have_collapsed(shapes: Shapes) -> None:
    loss = SimSiam(shapes, encoder="u", **SMALL)
    one = torch.randn(1, 4).expand(16, 4)
    assert float(scalars(loss, one, one)["spread"]) == pytest.approx(0, abs=0.05)
    assert float(scalars(loss, torch.randn(16, 4), torch.randn(16, 4))["spread"]) > 0.8


def test_batch_norm_is_the_library_s_over_the_samples_that_are_there() -> None:
    x, is_there = vectors(6, 3, 0), torch.tensor([True, True, False, True, True, False])
    found = BatchNorm(3).double()(x, is_there)
    expected = F.batch_norm(x[is_there], None, None, training=True)
    torch.testing.assert_close(found[is_there], expected)


@pytest.mark.parametrize("loss", [SimCLR, SimSiam])
def test_a_batch_of_one_is_refused(loss: Callable[..., nn.Module], shapes: Shapes) -> None:
    with pytest.raises(SpecError, match="found: a batch of 1"):
        scalars(loss(shapes, encoder="u"), torch.ones(1, 4), torch.ones(1, 4))


@pytest.mark.parametrize("loss", [SimCLR, SimSiam])
def test_an_encoder_that_is_not_there_is_refused(
    loss: Callable[..., nn.Module], shapes: Shapes
) -> None:
    with pytest.raises(SpecError, match='found: "image"\n  allowed: "u", "v"'):
        loss(shapes)
