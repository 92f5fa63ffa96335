"""The loop: schedule, decay, best weights, early stopping, non-finite losses, no hidden waiting."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping

import pytest
import torch
from support.rules import OPTIMIZERS, rule
from support.small_training import Nearness, make_step, run
from torch import Tensor

from mmlab.data.order import Order
from mmlab.errors import RunError
from mmlab.model.device import determinism, resolve_precision
from mmlab.model.model import Step
from mmlab.plugin import Batch, Encode, Outputs
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer, count_steps


def weights(step: Step) -> list[Tensor]:
    return [x.clone() for x in step.state_dict().values()]


def test_the_loss_falls_and_each_emission_says_where_it_is() -> None:
    _, progress = run(make_step(), epochs=20, lr=0.05)
    assert progress[-1].step == progress[-1].total_steps == 40
    assert progress[-1].loss < 0.1 * progress[0].loss
    names = {point.name for point in progress[0].points}
    assert {"train/loss", "train/near/distance", "train/lr", "train/grad_norm"} <= names
    assert "train/near/loss" not in names


def slow_validations(seconds: float) -> Iterator[float]:
    while True:
        time.sleep(seconds)
        yield 1.0


def test_the_time_left_is_that_of_the_steps_alone() -> None:
    _, progress = run(make_step(), slow_validations(0.1), epochs=4)
    assert all(0 < p.seconds_left < 0.1 for p in progress[:-1])
    assert progress[-1].seconds_left == 0.0


def test_the_total_weighs_the_losses() -> None:
    _, progress = run(make_step(), max_steps=1)
    values = {point.name: point.value for point in progress[0].points}
    assert values["train/loss"] == pytest.approx(2.0 * values["train/near/distance"])


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    first, second = make_step(), make_step()
    run(first), run(second)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


class Drawing(Nearness):
    """Draws a number at each training step, as dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        if self.training:
            self.drawn.append(float(torch.rand(())))
        return super().forward(outputs, batch, encode)


def test_every_step_draws_other_numbers_and_the_same_in_another_run() -> None:
    losses = Drawing(), Drawing()
    for loss in losses:
        run(make_step(loss), max_steps=4)
    assert len(set(losses[0].drawn)) == 4
    assert losses[0].drawn == losses[1].drawn


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_best_validation_is_marked_and_what_is_not_finite_never_is(value: float) -> None:
    _, progress = run(make_step(), iter([3.0, value, 1.0, 2.0]))
    assert [p.is_best for p in progress] == [True, False, True, False]


def test_training_stops_after_as_many_worse_validations_as_patience_allows() -> None:
    scores = iter([3.0, 1.0, 2.0, 1.5, 0.0])
    _, progress = run(make_step(), scores, epochs=5, patience=2)
    assert progress[-1].step == 8


def test_max_steps_ends_training_with_a_validation() -> None:
    _, progress = run(make_step(), max_steps=3)
    assert progress[-1].step == 3
    assert progress[-1].points[-1].name == "validation/loss"


def test_an_unknown_best_metric_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(RunError, match=r"found: zero_shot/top1(.|\n)*allowed: loss"):
        run(make_step(), best="zero_shot/top1")


@pytest.mark.parametrize("microbatch", [None, 2])
@pytest.mark.parametrize("breaks_at", [1, 3])
def test_a_nan_loss_stops_the_run_with_its_step_and_keeps_the_weights_before(
    breaks_at: int, microbatch: int | None
) -> None:
    step, expected = make_step(Nearness(breaks_at)), make_step()
    if breaks_at > 1:
        run(expected, epochs=None, max_steps=8, warmup_fraction=0.0, lr=1e-9)
    before = weights(expected)
    with pytest.raises(RunError, match=f"training step {breaks_at}:") as caught:
        run(step, epochs=None, max_steps=8, warmup_fraction=0.0, lr=1e-9, microbatch=microbatch)
    assert caught.value.reason == "nan"
    for a, b in zip(weights(step), before, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


def test_after_step_is_called_once_a_step() -> None:
    loss = Nearness()
    run(make_step(loss), epochs=2)
    assert loss.clamped == 4


def test_the_rate_is_that_of_the_schedule_and_a_cosine_unless_said_otherwise() -> None:
    _, progress = run(make_step(), epochs=5, lr=2e-3, warmup_fraction=0.2, emit_every=1)
    rates = [p.value for step in progress for p in step.points if p.name == "train/lr"]
    assert rates[:3] == [1e-3, 2e-3, 2e-3]
    assert rates[6] == pytest.approx(1e-3)
    assert rates[9] == pytest.approx(2e-3 * 0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_steps_are_bounded_by_epochs_and_by_max_steps() -> None:
    order = Order(0, 10, 3)
    assert count_steps(TrainTable(epochs=4, batch_size=3), order) == 12
    assert count_steps(TrainTable(epochs=4, max_steps=5, batch_size=3), order) == 5
    assert count_steps(TrainTable(max_steps=99, batch_size=3), order) == 99


def test_the_best_is_the_greatest_where_the_mode_says_so() -> None:
    _, progress = run(make_step(), iter([1.0, 3.0, 2.0, 4.0]), best_mode="max")
    assert [p.is_best for p in progress] == [True, True, False, True]


def test_a_precision_is_what_its_name_says() -> None:
    assert resolve_precision("auto", torch.device("cpu")) == "fp32"
    assert resolve_precision("auto", torch.device("cuda")) == "bf16"


def test_determinism_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with determinism(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_never_waits_for_the_device(optimizer: str) -> None:
    step = make_step()
    table = TrainTable(epochs=1, batch_size=4)
    trainer = Trainer(
        step.to("cuda"), table, Order(0, 8, 4), torch.device("cuda"), rule=rule(optimizer)
    )
    x = {key: torch.randn(4, 2, device="cuda") for key in ("image", "text")}
    present = {key: torch.ones(4, dtype=torch.bool, device="cuda") for key in x}
    batch = Batch(x, present, torch.zeros(4, device="cuda"), torch.arange(4, device="cuda"), {})
    trainer.update(batch, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.update(batch, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_on_a_gpu_too_a_nan_loss_keeps_the_weights_before(optimizer: str) -> None:
    step = make_step(Nearness(breaks_at=3)).to("cuda")
    settings = {"epochs": None, "max_steps": 8, "emit_every": 8}
    with pytest.raises(RunError, match="training step 3:"):
        run(step, device="cuda", rule=rule(optimizer), **settings)
    assert all(bool(torch.isfinite(x).all()) for x in step.state_dict().values())
