"""Which parameters learn how fast: factors of encoders, and of their stages."""

from __future__ import annotations

import pytest
from support.planted import Vector
from support.small_training import First, Nearness
from support.token_steps import make_step as make_deep_step
from support.toys import Toy

from mmlab.errors import SpecError
from mmlab.model.model import Model, Step
from mmlab.spec import TrainTable
from mmlab.train.optimizers import make_optimizer


def make_step(frozen: frozenset[str] = frozenset()) -> Step:
    encoders = {"image": Vector(), "text": Toy("text", dim=3)}
    model = Model(encoders, First(), ["image", "text"], frozen=frozen)
    return Step(model, {"near": Nearness()}, {"near": 1.0})


def scales(step: Step, layer_decay: float = 1.0, **lr_scales: float) -> dict[str, float]:
    """The factor of each trained parameter's learning rate, by its name."""
    table = TrainTable(epochs=1, batch_size=1, layer_decay=layer_decay)
    groups = make_optimizer(step, table, lr_scales).param_groups
    found = {id(p): group["scale"] for group in groups for p in group["params"]}
    return {name: found[id(p)] for name, p in step.named_parameters() if id(p) in found}


def test_an_encoder_has_its_own_factor() -> None:
    found = scales(make_step(), text=0.1)
    assert found["model.encoders.text.first.weight"] == 0.1
    assert found["model.encoders.image.map.weight"] == found["losses.near.temperature"] == 1.0


def test_each_stage_learns_more_slowly_than_the_next() -> None:
    found = scales(make_step(frozenset({"image"})), layer_decay=0.5, text=0.1)
    assert found["model.encoders.text.second.bias"] == pytest.approx(0.05)
    assert found["model.encoders.text.first.weight"] == pytest.approx(0.025)
    assert found["losses.near.temperature"] == 1.0
    assert not any(name.startswith("model.encoders.image") for name in found)


def test_an_encoder_without_stages_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="'image' cannot name its stages"):
        scales(make_step(), layer_decay=0.5)


def test_every_parameter_is_in_one_group_only() -> None:
    step = make_deep_step()
    groups = make_optimizer(step, TrainTable(epochs=1, batch_size=1), {"text": 0.5}).param_groups
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in step.parameters())
