"""Towers start by their own key; those of a checkpoint do not depend on who shares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from support.lab import install

from mmlab.data.splits import Splits
from mmlab.model.build import build
from mmlab.plan.resolve import plan_specs

pytestmark = pytest.mark.slow

TABLES = """
[fusion]
use = "inner_product"
dim = 8
inputs = ["image", "text"]
[[losses]]
use = "info_nce"
[train]
max_steps = 1
batch_size = 2
"""
States = Mapping[str, Mapping[str, torch.Tensor]]
Start = Callable[..., States]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: str) -> Start:
    """The state of each encoder of a cell, given which weights towers have, and which is one."""
    install(monkeypatch, tmp_path / "site", "starts")

    def build_encoders(weights: str, kinds: Mapping[str, str], *more: str) -> States:
        tower = f'use = "open_clip"\narchitecture = "{clip}"\n{weights}'
        encoders = [
            f"[encoders.{key}]\n{kind.replace('TOWER', tower)}" for key, kind in kinds.items()
        ]
        path = tmp_path / "starts.toml"
        data = 'schema_version = 1\nname = "starts"\n[dataset]\nuse = "everything"\n'
        path.write_text("\n".join([data, *encoders, TABLES, *more]))
        (plan,) = plan_specs([path], ())
        encoders_made = build(plan, Splits(), {}).model.encoders
        return {key: encoder.state_dict() for key, encoder in encoders_made.items()}

    return build_encoders


def same(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(x, second[name]) for name, x in first.items())


PLAIN = 'use = "drawing"\n'
TEACHER = "TOWER" + 'modality = "image"\n'


@pytest.mark.parametrize("weights", ['pretrained = ""\n', ""], ids=["random", "checkpoint"])
def test_a_tower_starts_alike_whatever_the_others_are(start: Start, weights: str) -> None:
    text = start(weights, {"image": PLAIN, "text": "TOWER"})["text"]
    image = start(weights, {"image": "TOWER", "text": PLAIN})["image"]
    both = start(weights, {"image": "TOWER", "text": "TOWER"})
    turned = start(weights, {"text": "TOWER", "image": "TOWER"})
    for states in (both, turned):
        assert len(states["text"]) > 20
        assert same(states["text"], text)
        assert same(states["image"], image)


def test_an_encoder_more_of_one_modality_changes_no_other(start: Start) -> None:
    random = 'pretrained = ""\n'
    both = start(random, {"image": "TOWER", "text": "TOWER"})
    reader = '[[losses]]\nuse = "simclr"\nencoder = "teacher"\n'
    three = start(random, {"teacher": TEACHER, "image": "TOWER", "text": "TOWER"}, reader)
    assert same(three["image"], both["image"])
    assert same(three["text"], both["text"])
    assert not same(three["teacher"], three["image"])
