"""Optimisers: torch's numbers, and that a step which is not finite changes nothing anywhere."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from support.rules import OPTIMIZERS, maker, rule
from support.small_training import Nearness, make_step, run
from support.token_steps import make_batch
from support.token_steps import make_step as make_deep_step
from torch import Tensor, nn

from mmlab.data.order import Order
from mmlab.errors import RunError
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.optimizers import Optimizer, ParameterGroup
from mmlab.train.progress import DeviceMeter

CPU = torch.device("cpu")
LR, DECAY = 0.05, 0.2
#: The momentum of sgd alone makes no use of every option.
OPTIONS: Mapping[str, Mapping[str, Any]] = {"sgd": {"nesterov": True}}

Update = Callable[[], object]


def parameters() -> list[nn.Parameter]:
    """A matrix (the hidden one), another, a vector, filters and a number, in float64."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(5, 3), (4, 6), (7,), (2, 3, 2, 2), ()]
    return [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in shapes
    ]


def set_gradients(of: Sequence[nn.Parameter], step: int) -> None:
    """The same gradients at a step, whatever they are for."""
    generator = torch.Generator().manual_seed(100 + step)
    for p in of:
        p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64) * 10.0**-step


def make(name: str, own: Sequence[nn.Parameter]) -> Optimizer:
    groups: list[ParameterGroup] = [
        {"params": list(own[:2]), "weight_decay": DECAY, "scale": 1.0},
        {"params": list(own[2:]), "weight_decay": 0.0, "scale": 1.0},
    ]
    make = maker("optimizer", name, OPTIONS.get(name, {}))
    optimizer: Optimizer = make(groups=groups, lr=LR, matrices={own[0]})
    return optimizer


def torchs(name: str, own: Sequence[nn.Parameter]) -> Update:
    """torch's own optimiser, plain, with the same settings."""
    if name == "muon":
        muon = torch.optim.Muon(own[:1], LR, DECAY, adjust_lr_fn="match_rms_adamw")
        rest = torchs("adamw", own[1:])
        return lambda: (muon.step(), rest())  # type: ignore[no-untyped-call]
    matrices = [p for p in own[:2] if p.shape in ((5, 3), (4, 6))]
    others = [p for p in own if all(p is not matrix for matrix in matrices)]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    if name == "sgd":
        return torch.optim.SGD(groups, LR, momentum=0.9, nesterov=True, foreach=False).step
    if name == "adafactor":
        return torch.optim.Adafactor(groups, LR, eps=(2**-23, 1e-3), foreach=False).step
    return torch.optim.AdamW(groups, LR, (0.9, 0.98), foreach=False).step


def contents(optimizer: Optimizer) -> list[Tensor]:
    """Every tensor of an optimiser's state."""
    found: list[Tensor] = []

    def collect(value: Any) -> None:
        if isinstance(value, Tensor):
            found.append(value.clone())
        for inner in value.values() if isinstance(value, dict) else ():
            collect(inner)

    collect(optimizer.state_dict())
    return found


def assert_equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_is_torchs_own(name: str) -> None:
    own, other = parameters(), parameters()
    optimizer, expected = make(name, own), torchs(name, other)
    for step in range(6):
        set_gradients(own, step)
        set_gradients(other, step)
        optimizer.step()
        expected()
    for found, known in zip(own, other, strict=True):
        torch.testing.assert_close(found, known, rtol=1e-12, atol=1e-14)


def test_the_rate_of_what_adamw_changes_beside_muon_has_a_factor_of_its_own() -> None:
    own = parameters()
    groups = [{"params": own, "weight_decay": 0.0, "scale": 0.5}]
    made = maker("optimizer", "muon", {"adamw_scale": 0.1})
    found = made(groups=groups, lr=LR, matrices={own[0]}).param_groups
    assert [(len(g["params"]), g["scale"]) for g in found] == [(1, 0.5), (4, pytest.approx(0.05))]


@pytest.mark.parametrize("hidden", [[0], [2, 3, 4]])
def test_muon_and_adamw_may_have_nothing_to_do(hidden: list[int]) -> None:
    own = [parameters()[i] for i in hidden]
    groups = [{"params": own, "weight_decay": 0.0, "scale": 1.0}]
    optimizer = maker("optimizer", "muon", {})(
        groups=groups, lr=LR, matrices={p for p in own if p.shape == (5, 3)}
    )
    set_gradients(own, 0)
    before = [p.detach().clone() for p in own]
    optimizer.step()
    assert not any(torch.equal(p, old) for p, old in zip(own, before, strict=True))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("breaks_at", [0, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_broken_step_changes_no_weight_and_no_state(
    name: str, breaks_at: int, value: float
) -> None:
    own = parameters()
    optimizer = make(name, own)
    for step in range(breaks_at):
        set_gradients(own, step)
        optimizer.step_unless(torch.tensor(0.0))
    weights, state = [p.detach().clone() for p in own], contents(optimizer)
    set_gradients(own, breaks_at)
    for p in own:
        p.grad = torch.full_like(p, value)
    optimizer.step_unless(torch.tensor(1.0))
    assert_equal([p.detach() for p in own], weights)
    if breaks_at:  # before its first step AdamW has none, then zeros
        assert_equal(contents(optimizer), state)
    assert all(bool(torch.isfinite(x).all()) for x in contents(optimizer))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_a_step_that_was_left_out_all_goes_on_as_if_it_had_not_been(name: str) -> None:
    own, other = parameters(), parameters()
    optimizer, whole = make(name, own), make(name, other)
    for step, broken in enumerate([0.0, 1.0, 0.0, 0.0]):
        set_gradients(own, step)
        set_gradients(other, step)
        optimizer.step_unless(torch.tensor(broken))
        if not broken:
            whole.step()
    assert_equal([p.detach() for p in own], [p.detach() for p in other])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_can_be_carried_to_another_optimiser(name: str) -> None:
    own = parameters()
    optimizer = make(name, own)
    for step in range(2):
        set_gradients(own, step)
        optimizer.step()
    other = [nn.Parameter(p.detach().clone()) for p in own]
    heir = make(name, other)
    heir.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for both in ((own, optimizer), (other, heir)):
        set_gradients(both[0], 2)
        both[1].step()
    assert_equal([p.detach() for p in own], [p.detach() for p in other])


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_in_training_a_nan_keeps_the_weights_before_it(name: str, on_device: bool) -> None:
    step = make_deep_step()
    table = TrainTable(max_steps=5, batch_size=12, lr=0.01)
    trainer = Trainer(step, table, Order(0, 12, 12), CPU, rule=rule(name))
    if on_device:  # as on a GPU, where the host does not know
        trainer.meter = DeviceMeter(CPU)
    batch = make_batch(step)
    for index in range(2):
        trainer.update(batch, index)
    before = [x.clone() for x in step.state_dict().values()]
    broken = batch.map(lambda x: x * math.nan if x.is_floating_point() else x)
    for index, each in enumerate((broken, batch), start=2):
        trainer.update(each, index)
    assert_equal(list(step.state_dict().values()), before)
    with pytest.raises(RunError, match="training step 3:"):
        trainer.raise_if_not_finite()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_makes_the_loss_fall(name: str) -> None:
    _, progress = run(make_step(Nearness()), rule=rule(name), epochs=20, lr=0.05, weight_decay=0.0)
    assert progress[-1].loss < 0.5 * progress[0].loss


def test_nesterov_without_momentum_is_plain_descent() -> None:
    own, other = parameters(), parameters()
    groups = [{"params": own, "weight_decay": 0.0, "scale": 1.0}]
    set_gradients(own, 0)
    maker("optimizer", "sgd", {"nesterov": True, "momentum": 0.0})(groups=groups, lr=LR).step()
    set_gradients(other, 0)
    for found, p in zip(own, other, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(found.detach(), p.detach() - LR * p.grad)


def test_there_are_optimisers() -> None:
    assert set(OPTIMIZERS) == {"adafactor", "adamw", "muon", "sgd"}
