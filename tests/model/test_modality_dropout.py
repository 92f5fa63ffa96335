"""Modality dropout: who stays, how often, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.planted import Vector
from support.products import Product, batch
from support.specs import change, refuse
from torch import Tensor, nn

from mmlab.model.model import Model, drop_modalities
from mmlab.plugin import Features
from mmlab.spec import expand, load_spec

SAMPLES = 20_000


def everything(inputs: int) -> list[Tensor]:
    return [torch.ones(SAMPLES, dtype=torch.bool) for _ in range(inputs)]


@pytest.mark.parametrize(("probability", "inputs"), [(0.2, 2), (0.9, 2), (0.5, 3)])
def test_each_input_is_dropped_as_often_as_stated(probability: float, inputs: int) -> None:
    torch.manual_seed(0)
    kept = drop_modalities(everything(inputs), probability)
    expected = probability - probability**inputs / inputs
    four_errors = 4 * 0.5 / SAMPLES**0.5
    for present in kept:
        assert float((~present).double().mean()) == pytest.approx(expected, abs=four_errors)


def test_one_of_those_present_always_stays_and_no_absent_one_comes_back() -> None:
    torch.manual_seed(0)
    before = [torch.rand(SAMPLES) < 0.5 for _ in range(3)]
    after = drop_modalities(before, 0.99)
    assert not any(bool((new & ~old).any()) for old, new in zip(before, after, strict=True))
    some_before, some_after = (torch.stack(x).any(0) for x in (before, after))
    assert torch.equal(some_before, some_after)
    assert not some_before.all()  # or nothing was shown about samples without any input


def test_an_input_alone_is_never_dropped() -> None:
    (present,) = drop_modalities(everything(1), 0.99)
    assert present.all()


class Seen(Product):
    """Keeps which inputs it was given."""

    def project(self, position: int, features: Features) -> Features:
        self.present = {**getattr(self, "present", {}), position: features.present}
        return features


def seen_by(mode: bool, probability: float = 0.5) -> tuple[Seen, Model]:
    fusion = Seen()
    model = Model(
        {"image": Vector(), "text": Vector()},
        fusion,
        ["image", "text"],
        head=nn.Linear(3, 2),
        modality_dropout=probability,
    ).train(mode)
    torch.manual_seed(0)
    features = model(batch(64)).features
    assert all(f.present.all() for f in features.values())  # losses see what the encoders gave
    return fusion, model


def test_inputs_are_dropped_in_training_only() -> None:
    assert not all(present.all() for present in seen_by(True)[0].present.values())
    assert all(present.all() for present in seen_by(False)[0].present.values())
    assert all(present.all() for present in seen_by(True, 0.0)[0].present.values())


def test_a_spec_says_how_often(tmp_path: Path) -> None:
    path = change(tmp_path, "dim = 16\n", "dim = 16\nmodality_dropout = 0.25\n")
    (cell,) = expand(load_spec(path))
    assert cell.spec.fusion.modality_dropout == 0.25
    assert cell.spec.fusion.options == {"dim": 16}
    assert "fusion.modality_dropout" in refuse(path, "fusion.modality_dropout=1.0")
