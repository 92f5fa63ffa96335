"""Planted problems with known answers: what each family of operators can learn, and what not.

Operators are ranked as their formulas say. Features are too small for anything else to help: two
numbers for each input, and a linear head.
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

import mmlab_fusions
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmlab.plan.options import supplied
from mmlab.plugin import Features

#: Both signs of one element, and a constant.
U = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]])
V = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])

#: Sums of terms of one input each: one class of functions.
ADDING = ("concat", "late_fusion", "sum")
MULTIPLYING = (
    "bilinear",
    "bilinear_gated",
    "film",
    "gating",
    "low_rank_bilinear",
    "low_rank_tensor_fusion",
    "mfb",
    "multiplicative",
    "multiplicative_interactions",
    "mutan",
    "tanh_gating",
)
#: Of these every term is a product of both inputs.
ONLY_PRODUCTS = ("bilinear", "low_rank_bilinear", "mfb", "multiplicative", "mutan")


def make(name: str, **options: Any) -> nn.Module:
    """An operator of two inputs of width 2, and a linear head with one output on it."""
    factory = EntryPoint(name, mmlab_fusions.mmlab_fusions()[name], "mmlab").load()
    given = {"dims": (2, 2), "token_dims": (None, None), "outputs": 1}
    if name not in ("late_fusion", "modulation", "tensor_fusion"):
        options = {"dim": 8, **options}
    fusion = factory(*(given[key] for key in supplied(factory)), **options)
    return nn.ModuleDict({"fusion": fusion, "head": nn.Linear(fusion.dim, 1)})


def predict(model: Any, *inputs: Tensor) -> Tensor:
    """One number for each sample."""
    fusion = model["fusion"]
    projected = [fusion.project(i, Features.of(x)) for i, x in enumerate(inputs)]
    output: Tensor = model["head"](fusion.fuse(*projected)).squeeze(1)
    return output


def train(model: nn.Module, inputs: Sequence[Tensor], target: Tensor, steps: int = 150) -> float:
    """The last loss: cross entropy for a target that is True or False, else the squared error."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(steps):
        output = predict(model, *inputs)
        loss = _loss(output, target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return float(loss.detach())


def _loss(output: Tensor, target: Tensor) -> Tensor:
    if target.dtype == torch.bool:
        return F.binary_cross_entropy_with_logits(output, target.float())
    return F.mse_loss(output, target)


def accuracy(model: nn.Module, inputs: Sequence[Tensor], target: Tensor) -> float:
    """Share of samples whose side of zero is right."""
    with torch.no_grad():
        return float(((predict(model, *inputs) > 0) == target).double().mean())


# --- whether two signs agree: neither says anything alone -------------------------------------


def agreement(name: str, **options: Any) -> float:
    torch.manual_seed(0)
    model, agree = make(name, **options), U[:, 0] == V[:, 0]
    train(model, (U, V), agree)
    return accuracy(model, (U, V), agree)


@pytest.mark.parametrize("name", MULTIPLYING)
def test_operators_that_multiply_learn_whether_two_signs_agree(name: str) -> None:
    assert agreement(name) == 1


def test_fixed_products_need_no_more_than_the_head() -> None:
    assert agreement("tensor_fusion") == 1
    assert agreement("compact_bilinear", dim=16) == 1


@pytest.mark.parametrize("name", ADDING)
def test_operators_that_add_cannot_learn_it(name: str) -> None:
    """No sum of functions of one sign each gets more than three of the four right."""
    assert agreement(name) <= 0.75


def test_predictions_of_experts_that_think_are_still_added() -> None:
    assert agreement("late_fusion", hidden=8) <= 0.75


# --- a gate that must close: one input says whether the other counts ---------------------------


def gated() -> tuple[Tensor, Tensor, Tensor]:
    """A switch with a constant, values with nothing, and the value where the switch is on."""
    values = torch.linspace(-2, 2, 8).repeat(2)
    switch = torch.tensor([1.0, -1.0]).repeat_interleave(8)
    u = torch.stack([switch, torch.ones(16)], dim=1)
    return u, torch.stack([values, torch.zeros(16)], dim=1), values * (switch > 0)


@pytest.mark.parametrize("name", ["bilinear", "film", "gating", "mutan", "tanh_gating"])
def test_operators_that_multiply_learn_to_close(name: str) -> None:
    torch.manual_seed(0)
    u, v, target = gated()
    assert train(make(name), (u, v), target, steps=300) < 0.02


@pytest.mark.parametrize("name", ADDING)
def test_operators_that_add_let_half_of_it_through(name: str) -> None:
    """The best sum is half the value, whatever the switch: a quarter of the variance is left."""
    torch.manual_seed(0)
    u, v, target = gated()
    left = float(v[:, 0].square().mean()) / 4
    assert train(make(name), (u, v), target, steps=300) == pytest.approx(left, rel=0.05)


def test_the_gate_itself_closes() -> None:
    torch.manual_seed(0)
    u, v, target = gated()
    model: Any = make("gating", dim=1)
    train(model, (u, v), target, steps=300)
    gate = model["fusion"].project(0, Features.of(u)).pooled[:, 0].detach()
    assert float(gate[8:].max()) < 0.05 * float(gate[:8].min())


# --- a modality that is pure noise: nothing of it may be needed --------------------------------


def beside_noise(name: str, **options: Any) -> float:
    """Accuracy on new samples, where one input is the label and the other one says nothing."""
    torch.manual_seed(0)
    sign = torch.tensor([1.0, -1.0]).repeat(64)
    u, noise = torch.stack([sign, torch.ones(128)], dim=1), torch.randn(128, 2)
    model = make(name, **options)
    train(model, (u, noise), sign > 0)
    return accuracy(model, (u, torch.randn(128, 2)), sign > 0)


@pytest.mark.parametrize("name", [*ADDING, "attention", "film", "gmu", "max", "modulation"])
def test_operators_with_terms_of_one_input_do_without_the_other(name: str) -> None:
    assert beside_noise(name) >= 0.95


@pytest.mark.parametrize("name", ONLY_PRODUCTS)
def test_where_every_term_is_a_product_noise_turns_the_sign(name: str) -> None:
    """Accuracy of chance, 1/2, is known to 4 % from 128 samples."""
    assert beside_noise(name) == pytest.approx(0.5, abs=0.16)


def test_noise_does_no_harm_as_a_gate_but_as_a_value() -> None:
    assert beside_noise("gating", gate="v") >= 0.95
    assert beside_noise("gating", gate="u") == pytest.approx(0.5, abs=0.16)
