"""A run that was interrupted goes on from its newest checkpoint, and ends as if it never was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from support.lab import (
    PAIRED,
    TOY,
    Lab,
    install,
)
from support.stopped import left, stop, twin

#: 24 samples in batches of 8: 18 steps, a validation every third; checkpoints between emissions.
LONG = ("train.epochs=6", "train.emit_every=2", "train.checkpoint_every=3")
STEPS = 18
TEXTS = "encoders.text={use = 'transformer', width = 8, depth = 1, heads = 2, length = 8}"

CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "adamw": (TOY, ()),
    "sgd": (PAIRED, ("train.optimizer.use=sgd", "train.schedule.use=one_cycle")),
    "muon": (PAIRED, ("train.optimizer.use=muon",)),
    "adafactor": (TOY, ("train.optimizer.use=adafactor", "train.schedule.use=inverse_sqrt")),
    "an average and patience": (PAIRED, ("train.ema=0.9", "train.patience=4")),
    "best by a metric": (PAIRED, ("train.best=zero_shot/top1", "train.ema=0.5")),
    "microbatches": (PAIRED, ("train.microbatch=4",)),
    "inputs that tremble": (PAIRED, ("encoders.image.use=shaky", "fusion.modality_dropout=0.3")),
    "workers": (PAIRED, ("encoders.image.use=shaky", "train.workers=2")),
    "a vocabulary": (PAIRED, (TEXTS, "train.ema=0.5")),
    "adapters": (PAIRED, ("encoders.image.lora={rank = 2}", "train.optimizer.use=muon")),
    "frozen, with kept features": (TOY, ("encoders.image.freeze=true",)),
    "all of it frozen": (TOY, ("encoders.image.freeze=true", "encoders.text.freeze=true")),
    "a loss with a state": (TOY, ("losses.0.use=remembering",)),
    "a loss that gambles": (TOY, ("losses.0.use=gambling",)),
    "a fusion with buffers": (TOY, ("fusion.use=normed", "train.ema=0.9")),
    "several losses": (PAIRED, ("losses.0.use=sigmoid", "train.layer_decay=0.5")),
}


@pytest.fixture(autouse=True)
def _keeping(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, sqlite_lab.folder / "keeping", "keeping")


def hashed_steps(name: str) -> tuple[int, int]:
    """Two steps that have nothing to do with the spec but its name, one after the other."""
    first, second, *_ = hashlib.sha256(name.encode()).digest()
    return 4 + first % 6, 10 + second % 6


@pytest.mark.parametrize("name", CASES)
def test_it_ends_bit_for_bit_as_if_it_had_not_been_stopped(sqlite_lab: Lab, name: str) -> None:
    tables, more = CASES[name]
    other = twin(sqlite_lab, "stopped")
    overrides = (*LONG, *more)
    sqlite_lab.run_one(sqlite_lab.write("cell", tables), *overrides)
    spec = other.write("cell", tables)
    for step in hashed_steps(name):
        stop(other, spec, step, *overrides)
    detail = other.run_one(spec, *overrides)
    assert [a.outcome for a in detail.attempts] == ["interrupted", "interrupted", "ok"]
    assert sum(note.startswith("goes on from step") for note in other.shown.notes) == 2
    assert left(other) == left(sqlite_lab)
    assert not (other.runs / detail.run.run_id / "checkpoints").exists()


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("hiding", ("state of losses.hiding._extra_state", "builtins.dict")),
        ("turning", ("part 'losses'", "torch.complex128", "losses.turning.angle")),
    ],
)
def test_what_could_not_be_saved_is_found_before_the_first_step(
    sqlite_lab: Lab, loss: str, said: Sequence[str]
) -> None:
    (outcome,) = sqlite_lab.run(sqlite_lab.write("toy"), f"losses.0.use={loss}")
    assert outcome.status == "failed"
    assert all(words in (outcome.error or "") for words in said), outcome.error
    assert sqlite_lab.shown.progressed == []
    assert not list(sqlite_lab.runs.rglob("*.*"))
