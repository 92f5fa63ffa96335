"""Golden runs: ten steps of a tiny model in float64, on one thread, and what they must give.

Their weights are numbers of Python's own generator (`golden_parts`), so that a run says nothing
about how weights are drawn, and all about what is computed with them. Encoders, fusions, heads and
losses learn by a bare step along the gradient, so that no optimiser hides or shows what they do.

A further record of each encoder, fusion and head, "drawn KIND NAME", is a run of no steps: the
weights as a build draws them from a seed. It is in float64 too, where torch's generator gives the
same numbers on every processor, but it is that of one minor version of torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.data.order import Order, random_scope
from mmlab.errors import explain
from mmlab.plugin import Batch, Stepped
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.rule import UpdateRule
from support import golden_encoders
from support.golden_parts import (
    OUTPUTS,
    REGISTRY,
    Change,
    make_fusion,
    make_step,
    portable,
    portable_batch,
    resolved,
)
from support.loss_models import ROWS, make_batch

GOLDEN = Path(__file__).parents[1] / "golden" / "golden.json"

STEPS, RATE, TOLERANCE = 10, 0.03, 1e-9

#: Distributions whose components are guarded; optimisers, schedules and heads are mmlab's.
GUARDED = {"mmlab", "mmlab-encoders", "mmlab-fusions", "mmlab-losses"}
KINDS = ("optimizer", "schedule", "encoder", "head", "fusion", "loss")
#: The mean of what a generator says: it has no numbers of its own.
LEFT_OUT = {("loss", "generation")}
#: Kinds whose first weights are recorded.
DRAWN = ("encoder", "head", "fusion")

#: Options that make a component do more than its defaults, as further runs of it.
FURTHER: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("optimizer", "sgd"): {"nesterov": True},
    ("optimizer", "muon"): {"adjust": "original", "adamw_scale": 0.05},
    ("schedule", "cosine"): {"end": 0.1},
    ("fusion", "compact_bilinear"): {"normalize": True},
    **{("encoder", name): options for name, options in golden_encoders.MORE.items()},
}
#: Rates at which ten steps neither stand still nor diverge.
RATES = {"sgd": 0.2, "adafactor": 0.3}

#: What a run gave: the loss of each step, and sum and sum of sizes of each tensor afterwards.
Numbers = dict[str, Any]  # Any: it is JSON


def names() -> list[str]:
    """Every run, as "KIND NAME", or "KIND NAME *" with further options."""
    plain = _components(KINDS)
    return sorted([*plain, *(f"{kind} {name} *" for kind, name in FURTHER)])


def drawn_names() -> list[str]:
    """Every record of first weights, as "drawn KIND NAME"."""
    return sorted(f"drawn {name}" for name in _components(DRAWN))


def _components(kinds: tuple[str, ...]) -> list[str]:
    entries = [e for e in REGISTRY.entries() if e.kind in kinds and e.distribution in GUARDED]
    return [f"{e.kind} {e.name}" for e in entries if (e.kind, e.name) not in LEFT_OUT]


def run(
    name: str, change: Change | None = None, options: Mapping[str, object] | None = None
) -> Numbers:
    """The numbers of a run; `change` is made to every weight that it starts from."""
    kind, component, *more = name.split()
    given = {**(FURTHER[kind, component] if more else {}), **(options or {})}
    changed = change or (lambda x: x)
    with _one_thread():
        if kind == "encoder":
            return _run_encoder(component, given, changed)
        return _run(kind, component, given, changed)


def draw(name: str) -> Numbers:
    """The first weights of "drawn KIND NAME", as numbers of a run of no steps."""
    _, kind, component = name.split()
    with _one_thread(), golden_encoders.default_float64(), random_scope(0, "build", name):
        module = _make(kind, component).double()
    return {"torch": torch_version(), "losses": [], "weights": _checksums(module)}


def torch_version() -> str:
    """Major and minor, between which torch may draw other numbers from a seed."""
    return ".".join(torch.__version__.split(".")[:2])


def _make(kind: str, name: str) -> nn.Module:
    made: nn.Module
    if kind == "encoder":
        made = golden_encoders.make_encoder(name, {})
    elif kind == "fusion":
        made = make_fusion(name, {"dim": 8})
    else:
        made = resolved(kind, name, {}).make(dim=OUTPUTS, outputs=OUTPUTS)
    return made


def _run_encoder(name: str, options: Mapping[str, object], change: Change) -> Numbers:
    with golden_encoders.default_float64():
        encoder, distance = golden_encoders.make_step(name, options, change)
        losses = []
        for _ in range(STEPS):
            loss = distance()
            loss.backward()  # type: ignore[no-untyped-call]
            _descend(encoder.parameters())
            losses.append(loss.item())
        return {"losses": losses, "weights": _checksums(encoder)}


def _run(kind: str, name: str, options: Mapping[str, object], change: Change) -> Numbers:
    step = portable(lambda: make_step(kind, name, options), change)
    is_multi_label = name == "binary_cross_entropy"
    batch = portable_batch(make_batch(is_multi_label=is_multi_label, dtype=torch.float64), change)
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
        return UpdateRule(optimizer=resolved(kind, name, options).make)
    if kind == "schedule":
        return UpdateRule(schedule=resolved(kind, name, options).make)
    return UpdateRule()


def _bare_step(trainer: Trainer) -> Callable[[Batch, int], None]:
    def learn(batch: Batch, index: int) -> None:
        trainer.meter.add(trainer.differentiate(batch, index))
        _descend(trainer.parameters)
        for loss in trainer.step.losses.values():
            if isinstance(loss, Stepped):
                loss.after_step()

    return learn


def _descend(parameters: Iterable[nn.Parameter]) -> None:
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.sub_(RATE * parameter.grad)
                parameter.grad = None


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _float64_for_muon() -> Iterator[None]:
    """Let torch's Muon compute its step in float64: bfloat16 is rounded otherwise on others."""
    bfloat16 = Tensor.bfloat16
    Tensor.bfloat16 = Tensor.clone  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.bfloat16 = bfloat16  # type: ignore[method-assign]


def _checksums(module: nn.Module) -> dict[str, list[float]]:
    state = {name: x for name, x in module.state_dict().items() if x.is_floating_point()}
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
            after = f"after step {len(found['losses'])}"
            said = f"{tensor} of sum {sums[0]!r}, of sizes {sums[1]!r}, {after}"
            return _message(name, said, f"{expected[0]!r}, {expected[1]!r}")
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
    numbers = {name: run(name) for name in names()} | {name: draw(name) for name in drawn_names()}
    lines = [f"{json.dumps(name)}: {json.dumps(kept)}" for name, kept in numbers.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
