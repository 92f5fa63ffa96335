"""Schedules: closed forms, torch's own schedulers, warm-up, and that they are functions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from support.rules import SCHEDULES, maker
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from mmlab.train.schedules import (
    Constant,
    Cosine,
    InverseSqrt,
    Linear,
    OneCycle,
    Schedule,
    StepDecay,
)

LR, STEPS = 0.3, 20
WITH_LINEAR_WARM_UP = [name for name in SCHEDULES if name != "one_cycle"]


def rates(schedule: Schedule, steps: int = STEPS) -> list[float]:
    return [schedule(index) for index in range(steps)]


def torch_rates(make: Callable[[torch.optim.Optimizer], LRScheduler]) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer)
    found = []
    for _ in range(STEPS):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def test_a_constant_is_constant() -> None:
    assert rates(Constant(LR, STEPS, 0)) == [LR] * STEPS


def test_linear_is_torchs_linear_to_its_end() -> None:
    expected = torch_rates(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, total_iters=STEPS))
    assert rates(Linear(LR, STEPS, 0, end=0.2)) == pytest.approx(expected)


def test_cosine_is_torchs_cosine_to_its_end() -> None:
    expected = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.1 * LR))
    assert rates(Cosine(LR, STEPS, 0, end=0.1)) == pytest.approx(expected)


def test_a_cosine_has_lost_half_after_half_of_what_follows_the_warm_up() -> None:
    schedule = Cosine(2.0, 10, 2)
    assert rates(schedule, 4)[:3] == [1.0, 2.0, 2.0]
    assert schedule(6) == pytest.approx(1.0)
    assert schedule(9) == pytest.approx(1 + math.cos(math.pi * 7 / 8))


@pytest.mark.parametrize("warmup", [0, 4, 6])
def test_one_cycle_is_torchs_whose_rise_is_our_warm_up(warmup: int) -> None:
    share = warmup / STEPS
    expected = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(o, LR, STEPS, pct_start=share, cycle_momentum=False)
    )
    assert rates(OneCycle(LR, STEPS, warmup)) == pytest.approx(expected, rel=1e-9)


def test_inverse_sqrt_is_that_of_the_transformer() -> None:
    found = rates(InverseSqrt(LR, 100, 16), 100)
    peak = LR * 4  # so that the factor of both branches is lr sqrt(w)
    expected = [peak * min((i + 1) ** -0.5, (i + 1) * 16**-1.5) for i in range(100)]
    assert found == pytest.approx(expected)


def test_inverse_sqrt_without_warm_up_begins_at_lr() -> None:
    assert rates(InverseSqrt(LR, 4, 0), 4) == pytest.approx([LR / n**0.5 for n in (1, 2, 3, 4)])


def test_step_is_torchs_multi_step_at_shares_of_all_steps() -> None:
    expected = torch_rates(lambda o: lr_scheduler.MultiStepLR(o, [5, 12], gamma=0.3))
    assert rates(StepDecay(LR, STEPS, 0, factor=0.3, at=(0.25, 0.6))) == pytest.approx(expected)


@pytest.mark.parametrize("name", WITH_LINEAR_WARM_UP)
def test_each_warms_up_in_a_straight_line_to_lr(name: str) -> None:
    schedule = maker("schedule", name, {})(lr=LR, total_steps=STEPS, warmup_steps=5)
    assert rates(schedule, 5) == pytest.approx([LR * n / 5 for n in (1, 2, 3, 4, 5)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_is_a_function_of_the_step_and_stays_within_0_and_lr(name: str) -> None:
    make = maker("schedule", name, {})
    for steps in (1, 2, 7):
        for warmup in range(steps + 1):
            schedule = make(lr=LR, total_steps=steps, warmup_steps=warmup)
            forwards = rates(schedule, steps)
            backwards = [schedule(index) for index in reversed(range(steps))]
            assert forwards == backwards[::-1]
            assert all(0 < rate <= LR * (1 + 1e-12) for rate in forwards)


def test_there_are_schedules() -> None:
    assert set(SCHEDULES) == {"constant", "cosine", "inverse_sqrt", "linear", "one_cycle", "step"}
