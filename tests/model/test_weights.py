"""Weights on disk: whole or not at all, and checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.full_disk import largest_file
from support.opened import counted_opens
from torch import nn

from mmlab.errors import RunError, WeightsError
from mmlab.files import file_sha256
from mmlab.model.weights import (
    WeightsReader,
    load_weights,
    read_weights,
    restore,
    save_weights,
)


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    state = nn.Linear(3, 2).state_dict()
    sha256 = save_weights(tmp_path / "new" / "best.safetensors", state)
    loaded = load_weights(tmp_path / "new" / "best.safetensors", sha256)
    assert all(torch.equal(loaded[name], x) for name, x in state.items())
    found = read_weights(tmp_path / "new" / "best.safetensors")
    assert (found.sha256, sorted(found.tensors)) == (sha256, ["bias", "weight"])


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    sha256 = save_weights(path, nn.Linear(3, 2).state_dict())
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match="not those that were recorded"):
        load_weights(path, sha256)


def with_header(text: str) -> bytes:
    """A file of this header and four bytes."""
    return len(text).to_bytes(8, "little") + text.encode() + bytes(4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        with_header("{bad json}"),
        with_header("[1]"),
        with_header("[" * 100_000),
        (1 << 40).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        read_weights(path)


@pytest.mark.parametrize(
    "header",
    [
        '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        '{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"a":1}}',
    ],
)
def test_a_header_that_does_not_say_what_is_there_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(with_header(header))
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_weights(path)


def test_what_is_read_is_what_safetensors_reads_itself(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    dtypes = (torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    state = {str(dtype): torch.tensor([[1, 0, 3]]).to(dtype) for dtype in dtypes}
    state |= {"empty": torch.zeros(0, 4), "number": torch.tensor(2.5)}
    save_file(state, path, {"a": "naïve 猫", "b": ""})
    found = read_weights(path, file_sha256(path))
    expected = load_file(path)
    assert found.tensors.keys() == expected.keys()
    for name, x in found.tensors.items():
        assert x.dtype == expected[name].dtype
        assert torch.equal(x, expected[name])
    with safe_open(path, "pt") as file:
        assert found.metadata == file.metadata()


def test_a_file_is_opened_once_to_identify_it_and_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    sha256 = save_weights(path, nn.Linear(3, 2).state_dict())
    with counted_opens(path) as opens:
        read_weights(path, sha256)
    assert opens.count == 1
    reader = WeightsReader()
    with counted_opens(path) as opens:
        assert reader.read(path) is reader.read(path, sha256)
        assert reader.read(path).sha256 == sha256
    assert opens.count == 1
    with counted_opens(path) as opens:  # the counter sees what is not Python as well
        load_file(path)
        file_sha256(path)
    assert opens.count == 2


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
