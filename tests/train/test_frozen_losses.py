"""A frozen encoder stays as it is, bit for bit, whatever loss is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from support.loss_models import (
    ABOUT_TEXT,
    KEYS,
    LOSSES,
    OPTIONS,
    ROWS,
    make_batch,
    make_loss,
    make_step,
)
from torch import Tensor

from mmlab.data.order import Order
from mmlab.model.model import Step
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

CASES = [(name, key) for name in sorted(LOSSES) for key in KEYS]


def take_steps(name: str, key: str, *, is_frozen: bool) -> tuple[Step, Trainer]:
    """Two optimiser steps with one loss, about the encoder of this key where it can choose."""
    loss = make_loss(name, ABOUT_TEXT if key == "text" else {})
    frozen = frozenset({key} if is_frozen else ())
    step = make_step({name: loss}, frozen=frozen, counts=True)
    table = TrainTable(max_steps=2, batch_size=ROWS, lr=0.1)
    trainer = Trainer(step, table, Order(0, ROWS, ROWS), torch.device("cpu"))
    batch = make_batch(is_multi_label=name == "binary_cross_entropy")
    for index in range(2):
        trainer.update(batch, index)
    trainer.raise_if_not_finite()
    return step, trainer


def state(step: Step, key: str) -> dict[str, Tensor]:
    """Parameters and buffers of one encoder."""
    return {name: x.clone() for name, x in step.model.encoders[key].state_dict().items()}


def untrained(name: str, key: str) -> dict[str, Tensor]:
    return state(make_step({name: make_loss(name)}, counts=True), key)


def changed(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    assert found.keys() == expected.keys()
    return [name for name, x in found.items() if not torch.equal(x, expected[name])]


def test_every_loss_is_tried() -> None:
    assert len(CASES) >= 24
    assert OPTIONS.keys() | ABOUT_TEXT.keys() <= LOSSES.keys()


@pytest.mark.parametrize(("name", "key"), CASES)
def test_a_frozen_encoder_gets_no_gradient_no_change_and_no_place_in_the_optimiser(
    name: str, key: str
) -> None:
    step, trainer = take_steps(name, key, is_frozen=True)
    encoder = step.model.encoders[key]
    assert changed(state(step, key), untrained(name, key)) == []
    assert all(p.grad is None and not p.requires_grad for p in encoder.parameters())
    assert not any(module.training for module in encoder.modules())
    own = {id(p) for p in encoder.parameters()}
    assert not own & {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert not own & {id(p) for p in trainer.optimizer.state}


@pytest.mark.parametrize(("name", "key"), CASES)
def test_without_freezing_the_same_steps_change_parameters_and_buffers(name: str, key: str) -> None:
    step, _ = take_steps(name, key, is_frozen=False)
    names = changed(state(step, key), untrained(name, key))
    assert {"calls", "norm.running_mean"} <= set(names)
    gets_gradient: dict[str, Any] = {"masked_language_modelling": "text", "captioning": "image"}
    about = {"simclr", "simsiam"}
    if gets_gradient.get(name, key) == key or name in about:
        assert "second.weight" in names
