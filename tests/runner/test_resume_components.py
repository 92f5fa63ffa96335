"""Whatever a cell is made of, it goes on bit for bit: each component and setting, stopped twice.

A component that is added to mmlab or its own plugins is looked at without a word here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.every_component import (
    CONCAT,
    DATA,
    ELSEWHERE,
    ENCODERS,
    LABELS,
    LINEAR,
    PAIR,
    PICTURES,
    SIMILARITIES,
    TEXTS,
    around_fusion,
    around_generator,
    around_loss,
    data_for,
    encoder_tables,
    first_party,
)
from support.lab import Lab, install
from support.stopped import left, stopped_amid, twin

from mmlab.plan.registry import BUILTINS, Registry

pytestmark = pytest.mark.slow

REGISTRY = Registry.discover(BUILTINS)

#: Six samples in batches of two: 12 steps, a validation every third, and points every fourth.
TRAIN = "[train]\nepochs = 4\nbatch_size = 2\nlr = 0.01\nemit_every = 4\n"
STEPS = 12
CLASSES = '[[evaluate]]\nuse = "classification"\n'
NUMBERS = '[[evaluate]]\nuse = "regression"\n'
PAIRS = '[[evaluate]]\nuse = "zero_shot"\nscale = 10.0\n[[evaluate]]\nuse = "retrieval"\n'
PLAIN = (DATA, *encoder_tables(PAIR), CONCAT, LINEAR, LABELS, TRAIN, CLASSES)

#: How training goes on, and what is added to [train], the encoder of pictures, and that of texts.
SETTINGS: Mapping[str, tuple[str, str, str]] = {
    "average": ("ema = 0.9\n", "", ""),
    "microbatch": ("microbatch = 1\n", "", ""),
    "microbatch with an average": ("microbatch = 1\nema = 0.5\n", "", ""),
    "patience": ("patience = 2\nbest = 'cross_entropy/accuracy'\n", "", ""),
    "patience and an average": ("patience = 2\nema = 0.5\n", "", ""),
    "activations made anew": ("checkpoint_activations = true\n", "", ""),
    "bf16": ("precision = 'bf16'\n", "", ""),
    "deterministic": ("deterministic = true\n", "", ""),
    "clipped": ("clip_norm = 0.1\nwarmup_fraction = 0.3\n", "", ""),
    "layer decay": ("layer_decay = 0.5\nweight_decay = 0.1\n", "", ""),
    "adapters": ("", "lora = { rank = 2 }\n", ""),
    "adapters with an average": ("ema = 0.5\n", "", "lora = { rank = 2, alpha = 3.0 }\n"),
    "frozen": ("", "freeze = true\n", ""),
    "partly frozen": ("", "freeze = 1\n", "freeze = 1\n"),
    "kept features": ("", "", "freeze = true\n"),
    "all kept": ("", "freeze = true\n", "freeze = true\n"),
    "scaled rate": ("", "lr_scale = 0.1\n", ""),
    "workers": ("workers = 2\n", "", ""),
}


def cell_of(kind: str, name: str) -> Sequence[str]:
    """The tables of a small cell that uses a component or a setting."""
    if kind == "encoder":
        modality, options = ENCODERS[name]
        subject = {"subject": f'use = "{name}"\nmodality = "{modality}"\n{options}'}
        beside = {"image": PICTURES} if modality != "image" else {"text": TEXTS}
        return DATA, *encoder_tables({**subject, **beside}), *PLAIN[-5:]
    if kind == "fusion":
        found = PAIRS if name in SIMILARITIES else CLASSES
        return DATA, *encoder_tables(PAIR), *around_fusion(name), TRAIN, found
    if kind == "head":
        head, loss = f'[head]\nuse = "{name}"\n', LABELS
        if name == "identity":
            return DATA, *encoder_tables(PAIR), *around_fusion("late_fusion"), TRAIN, CLASSES
        return DATA, *encoder_tables(PAIR), CONCAT, head, loss, TRAIN, CLASSES
    if kind == "loss":
        return data_for(name), *encoder_tables(PAIR), *around_loss(name), TRAIN, *judged(name)
    if kind == "generator":
        return DATA, *encoder_tables(PAIR), *around_generator(name), TRAIN + "ema = 0.9\n"
    if kind in ("optimizer", "schedule"):
        return *PLAIN[:-2], f"{TRAIN}[train.{kind}]\nuse = '{name}'\n", CLASSES
    train, image, text = SETTINGS[name]
    encoders = encoder_tables({"image": PICTURES + image, "text": TEXTS + text})
    return DATA, *encoders, CONCAT, LINEAR, LABELS, TRAIN + train, CLASSES


def judged(loss: str) -> Sequence[str]:
    """Evaluations of what a loss trains, beside one that pairs where it says nothing of them."""
    reads = REGISTRY.resolve("loss", loss).reads
    if "prediction" in reads:
        return (NUMBERS if "targets" in reads else CLASSES,)
    return ("" if "similarity" in reads else '[[losses]]\nuse = "info_nce"\n', PAIRS)


KINDS = ("encoder", "fusion", "head", "generator", "loss", "optimizer", "schedule")
#: What is there only with a library's weights, or is made elsewhere.
COMPONENTS = [
    (kind, name)
    for kind in KINDS
    for name in sorted(
        first_party(kind) - (ELSEWHERE | {"sentence"} if kind == "encoder" else set())
    )
]
CASES = [*COMPONENTS, *(("setting", name) for name in SETTINGS)]


def hashed_steps(kind: str, name: str) -> tuple[int, int]:
    """Two steps that have nothing to do with the cell but its name, one after the other.

    Patience may end a training after its ninth.
    """
    first, second, *_ = hashlib.sha256(f"{kind} {name}".encode()).digest()
    return 1 + first % 4, 5 + second % 4


@pytest.fixture(autouse=True)
def _everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "starts", "starts")


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[" ".join(case) for case in CASES])
def test_it_ends_bit_for_bit_as_if_it_had_not_been_stopped(
    sqlite_lab: Lab, kind: str, name: str
) -> None:
    other, tables = twin(sqlite_lab, "stopped"), cell_of(kind, name)
    sqlite_lab.run_one(sqlite_lab.write("cell", tables))
    spec, (first, second) = other.write("cell", tables), hashed_steps(kind, name)
    with stopped_amid(first, KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        other.run(spec, f"train.checkpoint_every={first}")
    with stopped_amid(second - first, RuntimeError):
        assert other.statuses(spec, f"train.checkpoint_every={second}") == ["failed"]
    detail = other.run_one(spec)
    said = [note for note in other.shown.notes if note.startswith("goes on")]
    assert said == [f"goes on from step {step} of {STEPS}" for step in (first, second)]
    assert [a.outcome for a in detail.attempts] == ["interrupted", "error", "ok"]
    assert left(other) == left(sqlite_lab)
    assert bool(detail.summary["kept_features"]) == (
        name in ("frozen", "kept features", "all kept")
    )
