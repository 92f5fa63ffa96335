"""What is frozen stays so under every loss: no gradient, no buffer change, no optimiser state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from mmlab_encoders.transformer import TextTransformer
from mmlab_fusions.concat import Concat
from mmlab_fusions.inner_product import InnerProduct
from torch import Tensor, nn

from mmlab.data.order import Order
from mmlab.model.heads import Linear
from mmlab.model.model import Model, Step
from mmlab.plan.component import Resolved
from mmlab.plan.options import check_options
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plugin import Batch, Features, Shapes
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

REGISTRY = Registry.discover(BUILTINS)
LOSSES = [e.name for e in REGISTRY.entries("loss") if e.distribution == "mmlab-losses"]
OPTIONS: Mapping[str, Mapping[str, object]] = {"distillation": {"teachers": ["text"]}}
LABELS = ("a", "b", "c")
B, N = 6, 5
CPU = torch.device("cpu")


class Context:
    reads = frozenset({"pooled", "tokens"})


class Normed(nn.Module):
    """Tokens (B, N, 4) -> 8, through what would change a frozen encoder: batch norm, dropout."""

    preprocessing = "normed"
    dim = token_dim = 8

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(N))
        self.second = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(N))

    def forward(self, x: Tensor) -> Features:
        tokens = self.second(self.first(x))
        return Features.of(tokens.mean(1), tokens)

    def stages(self) -> Sequence[nn.Module]:
        return [self.first, self.second]


def make_loss(name: str, shapes: Shapes) -> Any:  # Any: losses differ
    factory = REGISTRY.resolve("loss", name)
    options, faults = check_options("loss", name, factory, OPTIONS.get(name, {}))
    assert not faults
    return Resolved(REGISTRY.entry("loss", name), factory, options).make(shapes=shapes)


def make_step(name: str, frozen: frozenset[str], depth: int = 0) -> Step:
    """A model of two encoders for one loss; `depth` stages of the image encoder are frozen too."""
    torch.manual_seed(0)
    image = Normed()
    text = TextTransformer(Context(), vocabulary="bytes", length=N, width=8, depth=1, heads=2)  # type: ignore[arg-type]
    reads = REGISTRY.resolve("loss", name).reads
    fusion: nn.Module = InnerProduct([8, 8], dim=4)
    head = None
    if "prediction" in reads:
        fusion = Concat([8, 8], dim=4)
        head = Linear(4, 1 if "targets" in reads else len(LABELS))
    model = Model(
        {"image": image, "text": text},
        fusion,
        ["image", "text"],
        head=head,
        frozen=frozen,
        frozen_stages=image.stages()[:depth],
    )
    shapes = Shapes(
        {"image": 8, "text": 8},
        getattr(fusion, "dim", None),
        LABELS,
        (2, 2, 2),
        name == "binary_cross_entropy",
        {"text": text.vocabulary},
        token_dims={"image": 8, "text": 8},
        labelled_count=B,
        targets=("height",),
        target_deviations=(1.0,),
    )
    return Step(model, {name: make_loss(name, shapes)}, {name: 1.0})


def make_batch(step: Step) -> Batch:
    text: Any = step.model.encoders["text"]
    ids = torch.stack([text.transform(word, False) for word in ("ab", "bc", "c", "dd", "e", "fgh")])
    inputs = {"image": torch.randn(B, N, 4), "text": ids}
    several = torch.eye(3).repeat(2, 1)
    is_multi_label = "binary_cross_entropy" in step.losses
    return Batch(
        inputs,
        {key: torch.ones(B, dtype=torch.bool) for key in inputs},
        several if is_multi_label else torch.arange(B) % 3,
        torch.arange(B),
        {"image": torch.randn(1, B, N, 4), "text": ids[None]},
        torch.randn(B, 1),
    )


def require_untouched(step: Step, frozen: Sequence[nn.Module]) -> None:
    """Train two steps and look at everything that training could leave in frozen modules."""
    held = [p for module in frozen for p in module.parameters()]
    before = [{k: x.clone() for k, x in module.state_dict().items()} for module in frozen]
    table = TrainTable(max_steps=2, batch_size=B, lr=0.1, weight_decay=0.5)
    trainer = Trainer(step, table, Order(0, B, B), CPU)
    batch = make_batch(step)
    trainer.differentiate(batch, 0)
    assert all(p.grad is None for p in held)
    trainer.optimizer.zero_grad()
    for index in range(2):
        trainer.update(batch, index)
    assert not any(module.training for part in frozen for module in part.modules())
    for module, state in zip(frozen, before, strict=True):
        assert all(torch.equal(x, state[name]) for name, x in module.state_dict().items())
    grouped = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert not any(p in trainer.optimizer.state or id(p) in grouped for p in held)


def test_the_losses_are_found() -> None:
    assert {"info_nce", "cross_entropy", "simsiam", "masked_language_modelling"} <= set(LOSSES)


@pytest.mark.parametrize("key", ["image", "text"])
@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_touches_a_frozen_encoder(name: str, key: str) -> None:
    step = make_step(name, frozenset({key}))
    require_untouched(step, [step.model.encoders[key]])


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_touches_a_frozen_stage(name: str) -> None:
    step = make_step(name, frozenset(), depth=1)
    image: Any = step.model.encoders["image"]
    before = image.second[0].weight.clone()
    require_untouched(step, image.stages()[:1])
    learns = not torch.equal(before, image.second[0].weight)
    assert learns or name == "masked_language_modelling", "what is not frozen learns"
