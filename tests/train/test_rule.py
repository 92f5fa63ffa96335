"""Which parameters learn how fast, which decay, and which are hidden matrices."""

from __future__ import annotations

import pytest
import torch
from support.planted import Vector
from support.small_training import First, Nearness
from support.token_steps import make_step as make_deep_step
from support.toys import Toy
from torch import nn

from mmlab.errors import SpecError
from mmlab.model.adapters import adapt
from mmlab.model.model import Model, Step
from mmlab.spec import LoraTable, TrainTable
from mmlab.train.rule import UpdateRule, hidden_matrices, parameter_groups


def make_step(frozen: frozenset[str] = frozenset()) -> Step:
    encoders = {"image": Vector(), "text": Toy("text", dim=3)}
    model = Model(encoders, First(), ["image", "text"], frozen=frozen)
    return Step(model, {"near": Nearness()}, {"near": 1.0})


def scales(step: Step, layer_decay: float = 1.0, **lr_scales: float) -> dict[str, float]:
    """The factor of each trained parameter's learning rate, by its name."""
    table = TrainTable(epochs=1, batch_size=1, layer_decay=layer_decay)
    groups = parameter_groups(step, table, lr_scales)
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
    groups = parameter_groups(step, TrainTable(epochs=1, batch_size=1), {"text": 0.5})
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in step.parameters())


def test_biases_and_temperatures_do_not_decay() -> None:
    step = make_step()
    groups = parameter_groups(step, TrainTable(epochs=1, batch_size=1, weight_decay=0.3), {})
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    by_name = {name: decay[id(p)] for name, p in step.named_parameters()}
    assert by_name["model.encoders.image.map.weight"] == 0.3
    assert by_name["model.encoders.image.map.bias"] == 0.0
    assert by_name["losses.near.temperature"] == 0.0


def hidden_names(step: Step) -> set[str]:
    found = hidden_matrices(step)
    return {name for name, p in step.named_parameters() if p in found}


def test_hidden_matrices_are_those_of_linear_maps_of_encoders_and_fusion() -> None:
    maps = [f"encoders.{key}.{part}" for key in ("image", "text") for part in ("first", "second")]
    maps += [f"fusion.projections.{i}" for i in (0, 1)]
    assert hidden_names(make_deep_step()) == {f"model.{name}.weight" for name in maps}


class Shared(nn.Module):
    """Everything that looks like a hidden matrix, and is one or is none."""

    dim = token_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.out = nn.Linear(4, 7)
        self.out.weight = self.words.weight
        self.position = nn.Parameter(torch.zeros(3, 4))
        self.filters = nn.Conv2d(1, 4, 2)
        self.attention = nn.MultiheadAttention(4, 2)
        self.map = nn.Linear(4, 4)


def test_embeddings_positions_filters_adapters_and_heads_are_none() -> None:
    encoder = Shared()
    model = Model({"text": encoder}, First(), ["text"], head=nn.Linear(3, 2))
    step = Step(model, {"near": nn.Linear(2, 2)}, {"near": 1.0})
    prefix = "model.encoders.text."
    attention = {f"{prefix}attention.{name}" for name in ("in_proj_weight", "out_proj.weight")}
    assert hidden_names(step) == {*attention, f"{prefix}map.weight"}
    adapt(encoder, LoraTable(rank=1, targets=["map"]), [], "encoders.text.lora")
    assert hidden_names(step) == attention


def test_a_rule_makes_adamw_and_a_cosine_unless_it_is_told_otherwise() -> None:
    table = TrainTable(epochs=1, batch_size=1, lr=0.3, warmup_fraction=0.0)
    optimizer = UpdateRule().make_optimizer(make_step(), table)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["betas"] == (0.9, 0.98)
    assert optimizer.defaults["eps"] == 1e-8
    assert UpdateRule().make_schedule(table, 2)(1) == pytest.approx(0.15)
