"""One report names the faults of tables and of components, however many of each there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmlab.errors import SpecError
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import plan_specs
from mmlab.runner.questions import read_request

SPEC = """
schema_version = 1
name = 3
[dataset]
use = "emoji"
labls = "category"
[encoders.image]
use = "convent"
[encoders.text]
use = "transformer"
freeze = "often"
depht = 2
[fusion]
use = "conct"
[[losses]]
use = "info_nze"
weight = -1
[train]
batch_size = "x"
[[evaluate]]
use = "zero_shto"
dataset = { use = "emojy" }
"""
FAULTS = (
    "spec.toml:3:8: name:",
    'unknown option of the dataset "emoji" (did you mean "labels"?)',
    "encoders.image.use",
    'did you mean "convnet"?',
    "encoders.text.freeze:",
    'unknown option of the encoder "transformer" (did you mean "depth"?)',
    "fusion.use",
    'did you mean "concat"?',
    'did you mean "info_nce"?',
    "losses.0.weight:",
    "train.batch_size:",
    "train.epochs: missing",
    'did you mean "zero_shot"?',
    'did you mean "emoji"?',
)


def test_every_fault_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.toml").write_text(SPEC)
    with pytest.raises(SpecError) as caught:
        plan_specs([Path("spec.toml")], ())
    message = str(caught.value)
    assert [fault for fault in FAULTS if fault not in message] == []
    assert len(message.split("\n\n")) == 12


def test_a_file_of_evaluations_is_checked_as_wholly(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    path.write_text('[[evaluate]]\nuse = "zero_shto"\nname = 3\n')
    with pytest.raises(SpecError) as caught:
        read_request(path, Registry.discover(BUILTINS))
    assert "evaluate.0.name" in str(caught.value)
    assert 'did you mean "zero_shot"?' in str(caught.value)
