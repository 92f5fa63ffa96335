"""Two processes: the losses, gradients and weights of one process with the same global batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import group_steps
import pytest
import torch
from group_steps import MODES
from processes import start, wait
from safetensors.torch import load_file
from torch import Tensor

from mmlab.group import Group

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def alone() -> dict[str, Tensor]:
    """What one process computes."""
    return group_steps.train(Group(), {})


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What two processes compute, by mode."""
    folder = tmp_path_factory.mktemp("group")
    script = [HERE / "group_steps.py", folder]
    for ended in wait(start([script, script], folder, TORCH_CPP_LOG_LEVEL="ERROR")):
        assert (ended.code, ended.stderr) == (0, "")
    return {mode: load_file(folder / f"{mode}.safetensors") for mode in MODES}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_two_processes_do_what_one_does(
    mode: str, alone: Mapping[str, Tensor], together: Mapping[str, Mapping[str, Tensor]]
) -> None:
    assert together[mode].keys() == alone.keys()
    for name, expected in alone.items():
        # Scalars are reported in float32; all else is float64 from end to end.
        tolerance = 1e-6 if name.startswith("mean ") else 1e-10
        torch.testing.assert_close(
            together[mode][name].to(expected), expected, rtol=tolerance, atol=tolerance
        )


def test_all_that_is_compared_is_there(alone: Mapping[str, Tensor]) -> None:
    names = [name for name in alone if name.startswith("gradient of losses.info_nce")]
    assert names, "the temperature"
    assert "gradient of model.encoders.text.first.weight" in alone
    assert {"mean loss", "mean info_nce/loss", "mean grad_norm"} <= alone.keys()
    assert all(bool(x.any()) for name, x in alone.items() if name.startswith("gradient"))
