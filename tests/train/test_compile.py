"""Compiled encoders: the losses of others, no second compilation, and no compiler without need."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import torch
from support.lab import child_environment
from support.small_training import make_step, run

from mmlab.records import Progress


def losses(progress: list[Progress]) -> list[float]:
    return [each.loss for each in progress]


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="needs a C++ compiler"
)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:Guards may run slower on Python 3.13.0:RuntimeWarning",  # true, and no fault of ours
)
def test_the_second_cell_of_a_sweep_compiles_nothing() -> None:
    from torch._dynamo.utils import counters  # 2 s that only this test needs

    torch.compiler.reset()
    counters.clear()
    _, plain = run(make_step(), lr=0.05)
    _, first = run(make_step(), lr=0.05, compile=True)
    compiled = counters["stats"]["unique_graphs"]
    _, second = run(make_step(), lr=0.01, compile=True)
    assert compiled > 0
    assert counters["stats"]["unique_graphs"] == compiled
    assert losses(first) == pytest.approx(losses(plain), rel=1e-5)
    assert losses(second) != pytest.approx(losses(plain), rel=1e-5)


def test_training_without_compilation_imports_no_compiler() -> None:
    code = (
        "import sys; from support.small_training import make_step, run\n"
        "from mmlab.model.device import determinism\n"
        "with determinism(True): run(make_step())\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=child_environment(), check=True)
