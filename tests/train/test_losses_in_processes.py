"""Every loss in two processes: the values and gradients of one with the same global batch."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from safetensors.torch import load_file
from support import group_losses
from support.loss_models import LOSSES
from support.processes import start, wait
from torch import Tensor

from mmlab.train.processes import ProcessGroup


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Tensor]]:
    """What two processes compute, by loss."""
    folder = tmp_path_factory.mktemp("group")
    script = ["-m", "support.group_losses", folder]
    for ended in wait(start([script, script], folder, TORCH_CPP_LOG_LEVEL="ERROR")):
        assert (ended.code, ended.stderr) == (0, "")
    return {name: load_file(folder / f"{name}.safetensors") for name in LOSSES}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_two_processes_give_the_loss_and_gradients_of_one(
    name: str, together: Mapping[str, Mapping[str, Tensor]]
) -> None:
    alone = group_losses.compute(ProcessGroup(), name)
    # A process that leaves a parameter out has a gradient of zero for it, or none.
    assert together[name].keys() >= alone.keys()
    for key, found in together[name].items():
        expected = alone.get(key, torch.zeros_like(found))
        # Scalars are reported in float32; all else is float64 from end to end.
        tolerance = 1e-6 if key.startswith("scalar ") else 1e-10
        assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance), key
