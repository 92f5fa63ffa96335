"""A training of two vectors in milliseconds: its fusion, its loss, and what it emits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mmlab.data.loader import training_batches
from mmlab.data.order import Order
from mmlab.data.reader import make_readers
from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Encode, Features, Outputs
from mmlab.records import Progress
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer, train
from mmlab.train.rule import UpdateRule
from support.planted import Vector, pairs


class Nearness(nn.Module):
    """The squared distance of two inputs' features; NaN from a planted step on."""

    reads = frozenset({"similarity"})
    views = 0

    def __init__(self, breaks_at: int | None = None) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.breaks_at = breaks_at
        self.calls = 0
        self.clamped = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        u, v = (outputs.features[key].pooled for key in ("image", "text"))
        loss = (u - v).square().mean() * self.temperature.square()
        if self.training:
            self.calls += 1
        broken = self.training and self.calls == self.breaks_at
        return {"loss": loss * math.nan if broken else loss, "distance": loss}

    def after_step(self) -> None:
        self.clamped += 1


class First(nn.Module):
    """The fusion that passes its first input on."""

    reads = frozenset({"pooled"})
    prompts = "features"
    dim = 3

    def project(self, position: int, features: Features) -> Features:
        return features

    def fuse(self, *features: Features) -> Tensor:
        return features[0].pooled


def make_step(loss: nn.Module | None = None) -> Step:
    torch.manual_seed(0)
    model = Model({"image": Vector(), "text": Vector()}, First(), ["image", "text"])
    return Step(model, {"near": loss or Nearness()}, {"near": 2.0})


def run(
    step: Step,
    scores: Iterator[float] | None = None,
    device: str = "cpu",
    rule: UpdateRule | None = None,
    **settings: object,
) -> tuple[Trainer, list[Progress]]:
    table = TrainTable(**{"epochs": 4, "batch_size": 4, "emit_every": 2, **settings})  # type: ignore[arg-type]
    dataset, order = pairs(8), Order(0, 8, table.batch_size)
    readers = make_readers(dataset, dict(step.model.encoders), {"image": "image", "text": "text"})  # type: ignore[arg-type]
    trainer = Trainer(step.to(device), table, order, torch.device(device), rule=rule)
    batches = training_batches(dataset, readers, order, workers=0)

    def validate() -> dict[str, float]:
        return {"loss": next(scores) if scores else 1.0}

    return trainer, list(train(trainer, batches, validate))
