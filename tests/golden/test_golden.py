"""Every built-in component computes the numbers that it always did, from the same weights."""

from __future__ import annotations

import copy
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from support import golden
from support.golden import FURTHER, difference, draw, drawn_names, names, run
from torch import Tensor, nn

NAMES, DRAWN = names(), drawn_names()
KEPT = golden.read()

#: Runs as they are, which several tests look at.
run_once = cache(run)


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_that_are_kept(name: str) -> None:
    assert name in KEPT, f"{name} is new: python tests/golden/write.py"
    said = difference(name, run_once(name), KEPT[name])
    assert said is None, said


def test_what_is_kept_is_what_there_is() -> None:
    assert set(KEPT) == {*NAMES, *DRAWN}
    counts = {kind: sum(name.startswith(f"{kind} ") for name in NAMES) for kind in golden.KINDS}
    further = {kind: sum(where[0] == kind for where in FURTHER) for kind in golden.KINDS}
    plain = {kind: counts[kind] - further[kind] for kind in golden.KINDS}
    exact = {"optimizer": 4, "schedule": 6, "encoder": 7, "head": 4}
    assert {kind: plain[kind] for kind in exact} == exact
    assert counts["fusion"] >= 25
    assert counts["loss"] >= 15


@pytest.mark.parametrize("name", NAMES)
def test_every_run_learns_and_stays_finite(name: str) -> None:
    losses = run_once(name)["losses"]
    assert len(losses) == golden.STEPS
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == golden.STEPS
    # which words are masked is drawn anew at each step, so that its last loss is not its lowest
    last = min(losses[1:]) if name == "loss masked_language_modelling" else losses[-1]
    assert last < losses[0]


@pytest.mark.parametrize("name", DRAWN)
def test_first_weights_are_drawn_as_they_always_were(name: str) -> None:
    assert name in KEPT, f"{name} is new: python tests/golden/write.py"
    if KEPT[name]["torch"] != golden.torch_version():
        pytest.skip(f"recorded with torch {KEPT[name]['torch']}, which may draw other numbers")
    said = difference(name, draw(name), KEPT[name])
    assert said is None, said


def test_another_way_to_draw_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "drawn encoder transformer"
    if KEPT[name]["torch"] != golden.torch_version():
        pytest.skip("recorded with another torch")
    normal = nn.init.normal_
    monkeypatch.setattr(nn.init, "normal_", lambda x, std=1.0: normal(x, std=std * 1.0001))
    said = str(difference(name, draw(name), KEPT[name]))
    assert said.startswith(f"{name}: computes other numbers than before\n  found: embedding.tokens")
    assert ", after step 0\n" in said


def test_a_draw_leaves_the_generator_and_the_default_precision_as_they_were() -> None:
    before = torch.random.get_rng_state()
    draw("drawn encoder vit")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32


def last_digits() -> Callable[[Tensor], Tensor]:
    """Numbers as another processor might have them: wrong in their last digit or two."""
    generator = random.Random(7)
    return lambda x: x * (1 + generator.uniform(-1, 1) * 1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_digits_of_another_processor_pass(name: str) -> None:
    said = difference(name, run(name, last_digits()), KEPT[name])
    assert said is None, said


@pytest.mark.slow
def test_other_instructions_give_the_same_numbers() -> None:
    """torch chooses others on older processors: the oldest ones, where it obeys."""
    code = (
        "from support.golden import *; kept = read()\n"
        "assert torch.backends.cpu.get_cpu_capability() == 'DEFAULT'\n"
        "found = {name: run(name) for name in names()}\n"
        "if kept['drawn encoder vit']['torch'] == torch_version():\n"
        "    found |= {name: draw(name) for name in drawn_names()}\n"
        "print(*filter(None, (difference(name, x, kept[name]) for name, x in found.items())))"
    )
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    folder = Path(__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert (found.stdout.strip(), found.stderr) == ("", "")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("optimizer adamw", {"eps": 1.01e-8}),
        ("optimizer adamw", {"betas": [0.9, 0.9801]}),
        ("optimizer sgd", {"momentum": 0.9001}),
        ("optimizer muon", {"momentum": 0.9501}),
        ("optimizer muon", {"eps": 1.01e-8}),
        ("optimizer muon", {"iterations": 4}),
        ("optimizer adafactor", {"eps": [2.0**-23, 1.001e-3]}),
        ("optimizer adafactor", {"clip": 1.001}),
        ("schedule cosine", {"end": 1e-6}),
        ("schedule step", {"at": [0.5, 0.9]}),
        ("fusion compact_bilinear", {"hash_seed": 1}),
    ],
)
def test_another_constant_does_not_pass(name: str, options: dict[str, object]) -> None:
    said = difference(name, run(name, options=options), KEPT[name])
    assert said is not None
    assert said.startswith(f"{name}: computes other numbers than before\n  found: ")
    assert "raise NUMERICS, or mend this" in said


@pytest.mark.parametrize(
    ("name", "constant", "value"),
    [
        ("loss simsiam", "mmlab_losses.batch_norm.EPSILON", 1.01e-5),
        ("fusion compact_bilinear *", "mmlab_fusions.signed_root.ROOT_EPSILON", 1.1e-8),
        ("schedule cosine", "math.pi", 3.1415),
        ("encoder audio_convnet", "mmlab_encoders.sound.FLOOR", 1.0001e-6),
        ("encoder transformer *", "mmlab_encoders.rotary.BASE", 10001.0),
        *(
            (f"encoder {name}", "torch.nn.LayerNorm", partial(nn.LayerNorm, eps=1.01e-5))
            for name in ("audio_transformer", "tabular", "transformer", "video *", "vit", "vit *")
        ),
        *(
            (f"encoder {name}", "torch.nn.GroupNorm", partial(nn.GroupNorm, eps=1.01e-5))
            for name in ("audio_convnet", "convnet", "video")
        ),
    ],
)
def test_nor_does_a_constant_inside_a_component(
    name: str, constant: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constant, value)
    assert difference(name, run(name), KEPT[name]) is not None


def test_the_step_and_the_tensor_that_differ_are_named() -> None:
    name = "fusion gating"
    other = copy.deepcopy(KEPT[name])
    other["losses"][6] *= 1 + 1e-8
    assert "found: loss " in str(difference(name, other, KEPT[name]))
    assert " at step 7\n" in str(difference(name, other, KEPT[name]))
    other = copy.deepcopy(KEPT[name])
    tensor = next(iter(other["weights"]))
    other["weights"][tensor][1] *= 1 + 1e-8
    assert f"found: {tensor} of sum " in str(difference(name, other, KEPT[name]))
    del other["weights"][tensor]
    assert "found: tensors " in str(difference(name, other, KEPT[name]))


def test_a_run_leaves_the_threads_and_bfloat16_as_they_were() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run("optimizer muon")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.ones(1).bfloat16().dtype == torch.bfloat16
