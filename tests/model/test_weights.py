"""Weights on disk: whole or not at all, and checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.full_disk import largest_file
from torch import nn

from mmlab.errors import RunError, WeightsError
from mmlab.model.weights import load_weights, restore, save_weights, tensor_names


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    state = nn.Linear(3, 2).state_dict()
    sha256 = save_weights(tmp_path / "new" / "best.safetensors", state)
    loaded = load_weights(tmp_path / "new" / "best.safetensors", sha256)
    assert all(torch.equal(loaded[name], x) for name, x in state.items())
    assert sorted(tensor_names(tmp_path / "new" / "best.safetensors")) == ["bias", "weight"]


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    sha256 = save_weights(path, nn.Linear(3, 2).state_dict())
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match="not those that were recorded"):
        load_weights(path, sha256)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, b"\x10\x00\x00\x00\x00\x00\x00\x00{bad json}"]
)
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(path)


def test_weights_that_do_not_fit_are_named() -> None:
    with pytest.raises(WeightsError, match=r"missing bias; unexpected other; weight is \(1,\)"):
        restore(nn.Linear(3, 2), {"weight": torch.zeros(1), "other": torch.zeros(1)}, "place")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_weights(path, nn.Linear(3, 2).state_dict())
    before = path.read_bytes()
    with largest_file(1000), pytest.raises(RunError, match="cannot be written") as caught:
        save_weights(path, nn.Linear(300, 200).state_dict())
    assert caught.value.reason == "disk_full"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
