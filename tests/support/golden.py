"""Golden runs: ten steps of a tiny model in float64, on one thread, and what they must give.

Nothing here is drawn by torch where a build draws it: whatever differs between two builds is set
from numbers of Python's own generator, whose numbers are the same everywhere; all else of a build
(temperatures, norms, maps that start at zero) stays as the component makes it. So a run says
nothing about how weights are drawn, and all about what is computed with them. Fusions, heads and
losses learn by a bare step along the gradient, so that no optimiser hides or shows what they do.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmlab.data.order import Order
from mmlab.errors import explain
from mmlab.model.heads import Identity
from mmlab.model.model import Model, Step
from mmlab.plan.component import Resolved
from mmlab.plan.options import check_options, option_model
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plugin import Batch, SimilarityFusion, Stepped, VectorFusion
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.rule import UpdateRule
from support import loss_models
from support.loss_models import DIM, KEYS, ROWS, WIDTH, WORDS, Reader, make_batch, shapes_for

GOLDEN = Path(__file__).parents[1] / "golden" / "golden.json"

STEPS, RATE, TOLERANCE = 10, 0.03, 1e-9
OUTPUTS = 3

#: Distributions whose fusions and losses are guarded; optimisers, schedules and heads are mmlab's.
GUARDED = {"mmlab", "mmlab-fusions", "mmlab-losses"}
KINDS = ("optimizer", "schedule", "head", "fusion", "loss")

#: Options that make a component do more than its defaults, as further runs of it.
FURTHER: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("optimizer", "sgd"): {"nesterov": True},
    ("optimizer", "muon"): {"adjust": "original", "adamw_scale": 0.05},
    ("schedule", "cosine"): {"end": 0.1},
    ("fusion", "compact_bilinear"): {"normalize": True},
}
#: Rates at which ten steps neither stand still nor diverge.
RATES = {"sgd": 0.2, "adafactor": 0.3}

#: What a run gave: the loss of each step, and sum and sum of sizes of each tensor afterwards.
Numbers = dict[str, Any]  # Any: it is JSON
Change = Callable[[Tensor], Tensor]

REGISTRY = Registry.discover(BUILTINS)


def names() -> list[str]:
    """Every run, as "KIND NAME", or "KIND NAME *" with further options."""
    entries = [e for e in REGISTRY.entries() if e.kind in KINDS and e.distribution in GUARDED]
    plain = [f"{entry.kind} {entry.name}" for entry in entries]
    return sorted([*plain, *(f"{kind} {name} *" for kind, name in FURTHER)])


def run(
    name: str, change: Change | None = None, options: Mapping[str, object] | None = None
) -> Numbers:
    """The numbers of a run; `change` is made to every number that it starts from."""
    kind, component, *more = name.split()
    given = {**(FURTHER[kind, component] if more else {}), **(options or {})}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _run(kind, component, given, change or (lambda x: x))
    finally:
        torch.set_num_threads(threads)


def _run(kind: str, name: str, options: Mapping[str, object], change: Change) -> Numbers:
    step = _portable(lambda: _make_step(kind, name, options), change)
    is_multi_label = name == "binary_cross_entropy"
    batch = _portable_batch(make_batch(is_multi_label=is_multi_label, dtype=torch.float64), change)
    table = TrainTable(max_steps=STEPS, batch_size=ROWS, lr=RATES.get(name, 0.02))
    rule = _rule(kind, name, options)
    trainer = Trainer(step, table, Order(0, ROWS, ROWS), torch.device("cpu"), rule=rule)
    learn = trainer.update if kind in ("optimizer", "schedule") else _bare_step(trainer)
    losses = []
    with _float64_for_muon():
        for index in range(STEPS):
            learn(batch, index)
            losses.append(trainer.meter.take()["loss"])
    return {"losses": losses, "weights": _checksums(step)}


def _rule(kind: str, name: str, options: Mapping[str, object]) -> UpdateRule:
    """AdamW and a cosine, but for the one that is looked at."""
    if kind == "optimizer":
        return UpdateRule(optimizer=_resolved(kind, name, options).make)
    if kind == "schedule":
        return UpdateRule(schedule=_resolved(kind, name, options).make)
    return UpdateRule()


def _bare_step(trainer: Trainer) -> Callable[[Batch, int], None]:
    def learn(batch: Batch, index: int) -> None:
        trainer.meter.add(trainer.differentiate(batch, index))
        with torch.no_grad():
            for parameter in trainer.parameters:
                if parameter.grad is not None:
                    parameter.sub_(RATE * parameter.grad)
                    parameter.grad = None
        for loss in trainer.step.losses.values():
            if isinstance(loss, Stepped):
                loss.after_step()

    return learn


def _resolved(kind: str, name: str, options: Mapping[str, object]) -> Resolved:
    factory = REGISTRY.resolve(kind, name)
    checked, faults = check_options(kind, name, factory, options)
    assert not faults, faults
    return Resolved(REGISTRY.entry(kind, name), factory, checked)


def _make_step(kind: str, name: str, options: Mapping[str, object]) -> Step:
    """The model around a component: as small as it can be, and all of it trained."""
    if kind == "loss":
        losses = {name: loss_models.make_loss(name)}
        return loss_models.make_step(losses, seed=torch.initial_seed()).double()
    if kind == "fusion":
        fusion = _make_fusion(name, {"dim": 8, **options})
    else:
        fusion = _make_fusion("concat", {"dim": OUTPUTS})
    scores, fuses = isinstance(fusion, SimilarityFusion), isinstance(fusion, VectorFusion)
    head: nn.Module | None = None
    if fuses:
        makes_outputs = name == "late_fusion"
        head = Identity(fusion.dim, OUTPUTS) if makes_outputs else nn.Linear(fusion.dim, OUTPUTS)
    if kind == "head":
        head = _resolved("head", name, {}).make(dim=fusion.dim, outputs=OUTPUTS)
    if kind == "optimizer":  # a parameter without size, which Adafactor treats apart
        nn.init.zeros_(cast(nn.Linear, head).bias)
    encoders = {
        "image": Reader(nn.Linear(WIDTH, DIM), counts=False),
        "text": Reader(nn.Embedding(WORDS, DIM), counts=False),
    }
    model = Model(encoders, fusion, KEYS, head=head)
    wanted = (["cross_entropy"] if fuses else []) + (["info_nce"] if scores else [])
    losses = {loss: _resolved("loss", loss, {}).make(shapes=shapes_for(loss)) for loss in wanted}
    return Step(model, losses, dict.fromkeys(losses, 1.0)).double()


def _make_fusion(name: str, options: Mapping[str, object]) -> Any:
    """A fusion with those of the options that it has."""
    fields = option_model(REGISTRY.resolve("fusion", name)).model_fields.values()
    known = {field.alias for field in fields}
    given = {key: value for key, value in options.items() if key in known}
    dims = {"dims": [DIM, DIM], "token_dims": [DIM, DIM], "outputs": OUTPUTS}
    return _resolved("fusion", name, given).make(**dims)


def _portable(make: Callable[[], Step], change: Change) -> Step:
    """A step whose drawn numbers are Python's, and the same on every machine."""
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
                x.copy_(change(_drawn(name, x.shape) if name in drawn else x))
    return made[0]


def _drawn(name: str, shape: torch.Size) -> Tensor:
    """Numbers of mean 0 and variance 1 / inputs, from the name alone."""
    generator = random.Random(name)
    size, inputs = math.prod(shape), math.prod(shape[1:])
    bound = math.sqrt(3 / max(1, inputs))
    numbers = [generator.uniform(-bound, bound) for _ in range(size)]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def _portable_batch(batch: Batch, change: Change) -> Batch:
    """The batch with other pictures, views and targets of the same shapes."""

    def drawn(name: str, x: Tensor) -> Tensor:
        return change(_drawn(name, x.shape) * 2) if x.is_floating_point() else x

    return replace(
        batch,
        inputs={key: drawn(f"inputs {key}", x) for key, x in batch.inputs.items()},
        views={key: drawn(f"views {key}", x) for key, x in batch.views.items()},
        targets=None if batch.targets is None else drawn("targets", batch.targets),
    )


@contextmanager
def _float64_for_muon() -> Iterator[None]:
    """Let torch's Muon compute its step in float64: bfloat16 is rounded otherwise on others."""
    bfloat16 = Tensor.bfloat16
    Tensor.bfloat16 = Tensor.clone  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.bfloat16 = bfloat16  # type: ignore[method-assign]


def _checksums(step: Step) -> dict[str, list[float]]:
    state = {name: x for name, x in step.state_dict().items() if x.is_floating_point()}
    return {name: [float(x.sum()), float(x.abs().sum())] for name, x in state.items()}


def difference(name: str, found: Numbers, kept: Numbers) -> str | None:
    """What is to be said where a run gives other numbers than those that are kept."""
    for step, (loss, expected) in enumerate(zip(found["losses"], kept["losses"], strict=True), 1):
        if not math.isclose(loss, expected, rel_tol=TOLERANCE):
            return _message(name, f"loss {loss!r} at step {step}", repr(expected))
    if found["weights"].keys() != kept["weights"].keys():
        return _message(name, f"tensors {', '.join(found['weights'])}", ", ".join(kept["weights"]))
    for tensor, sums in found["weights"].items():
        expected = kept["weights"][tensor]
        if any(abs(a - b) > TOLERANCE * expected[1] for a, b in zip(sums, expected, strict=True)):
            after = f"{tensor} of sum {sums[0]!r}, of sizes {sums[1]!r}, after step {STEPS}"
            return _message(name, after, f"{expected[0]!r}, {expected[1]!r}")
    return None


def _message(name: str, found: str, expected: str) -> str:
    return explain(
        name,
        "computes other numbers than before",
        found=found,
        allowed=f"{expected}, to {TOLERANCE:g} of it",
        next_step="raise NUMERICS, or mend this (`numerics` of the component, or mmlab.NUMERICS "
        "where all of them differ); then python tests/golden/write.py",
    )


def read() -> dict[str, Numbers]:
    """The numbers that are kept."""
    kept: dict[str, Numbers] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return kept


def write() -> None:
    """Keep the numbers of this moment, a run a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(run(name))}" for name in names()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
