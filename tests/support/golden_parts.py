"""What golden runs are made of: components, a tiny model around each, and numbers for them.

Nothing here is drawn by torch where a build draws it: whatever differs between two builds is set
from numbers of Python's own generator, whose numbers are the same everywhere; all else of a build
(temperatures, norms, maps that start at zero) stays as the component makes it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from mmlab.model.heads import Identity
from mmlab.model.model import Model, Step
from mmlab.plan.component import Resolved
from mmlab.plan.options import check_options, option_model
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plugin import Batch, SimilarityFusion, VectorFusion
from support import loss_models
from support.loss_models import DIM, KEYS, WIDTH, WORDS, Reader, shapes_for

OUTPUTS = 3

REGISTRY = Registry.discover(BUILTINS)

#: A change of every number that a run starts from.
Change = Callable[[Tensor], Tensor]
Made = TypeVar("Made", bound=nn.Module)


def resolved(kind: str, name: str, options: Mapping[str, object]) -> Resolved:
    factory = REGISTRY.resolve(kind, name)
    checked, faults = check_options(kind, name, factory, options)
    assert not faults, faults
    return Resolved(REGISTRY.entry(kind, name), factory, checked)


def make_step(kind: str, name: str, options: Mapping[str, object]) -> Step:
    """The model around a component: as small as it can be, and all of it trained."""
    if kind == "loss":
        losses = {name: loss_models.make_loss(name)}
        return loss_models.make_step(losses, seed=torch.initial_seed()).double()
    if kind == "fusion":
        fusion = make_fusion(name, {"dim": 8, **options})
    else:
        fusion = make_fusion("concat", {"dim": OUTPUTS})
    scores, fuses = isinstance(fusion, SimilarityFusion), isinstance(fusion, VectorFusion)
    head: nn.Module | None = None
    if fuses:
        makes_outputs = name == "late_fusion"
        head = Identity(fusion.dim, OUTPUTS) if makes_outputs else nn.Linear(fusion.dim, OUTPUTS)
    if kind == "head":
        head = resolved("head", name, {}).make(dim=fusion.dim, outputs=OUTPUTS)
    if kind == "optimizer":  # a parameter without size, which Adafactor treats apart
        nn.init.zeros_(cast(nn.Linear, head).bias)
    encoders = {
        "image": Reader(nn.Linear(WIDTH, DIM), counts=False),
        "text": Reader(nn.Embedding(WORDS, DIM), counts=False),
    }
    model = Model(encoders, fusion, KEYS, head=head)
    wanted = (["cross_entropy"] if fuses else []) + (["info_nce"] if scores else [])
    losses = {loss: resolved("loss", loss, {}).make(shapes=shapes_for(loss)) for loss in wanted}
    return Step(model, losses, dict.fromkeys(losses, 1.0)).double()


def make_fusion(name: str, options: Mapping[str, object]) -> Any:
    """A fusion with those of the options that it has."""
    fields = option_model(REGISTRY.resolve("fusion", name)).model_fields.values()
    known = {field.alias for field in fields}
    given = {key: value for key, value in options.items() if key in known}
    dims = {"dims": [DIM, DIM], "token_dims": [DIM, DIM], "outputs": OUTPUTS}
    return resolved("fusion", name, given).make(**dims)


def portable(make: Callable[[], Made], change: Change) -> Made:
    """A module whose drawn numbers are Python's, and the same on every machine."""
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(make())
    own, others = (dict([*s.named_parameters(), *s.named_buffers()]) for s in made)
    drawn = {name for name, x in own.items() if not torch.equal(x, others[name])}
    assert len(drawn) > 3, "two builds differ, or nothing here would be portable"
    with torch.no_grad():
        for name, x in own.items():
            assert x.is_floating_point() or name not in drawn, f"{name} is drawn, and no weight"
            if x.is_floating_point():
                x.copy_(change(drawn_by_name(name, x.shape) if name in drawn else x))
    return made[0]


def drawn_by_name(name: str, shape: torch.Size) -> Tensor:
    """Numbers of mean 0 and variance 1 / inputs, from the name alone."""
    generator = random.Random(name)
    size, inputs = math.prod(shape), math.prod(shape[1:])
    bound = math.sqrt(3 / max(1, inputs))
    numbers = [generator.uniform(-bound, bound) for _ in range(size)]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def portable_batch(batch: Batch, change: Change) -> Batch:
    """The batch with other pictures, views and targets of the same shapes."""

    def drawn(name: str, x: Tensor) -> Tensor:
        return change(drawn_by_name(name, x.shape) * 2) if x.is_floating_point() else x

    return replace(
        batch,
        inputs={key: drawn(f"inputs {key}", x) for key, x in batch.inputs.items()},
        views={key: drawn(f"views {key}", x) for key, x in batch.views.items()},
        targets=None if batch.targets is None else drawn("targets", batch.targets),
    )
