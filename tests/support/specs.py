"""A small valid spec, and what is reported when it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmlab.errors import SpecError
from mmlab.spec import load_spec

SPEC = """\
# Does it work?
schema_version = 1
name = "tiny"

[dataset]
use = "emoji"

[encoders.image]
use = "vit"
width = 32

[encoders.text]
use = "transformer"

[fusion]
use = "concat"
dim = 16

[head]
use = "linear"

[[losses]]
use = "cross_entropy"

[train]
epochs = 2
batch_size = 8

[[evaluate]]
use = "classification"
"""


def write(folder: Path, text: str = SPEC, name: str = "tiny.toml") -> Path:
    """A spec file in a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def change(folder: Path, old: str, new: str) -> Path:
    """The small spec with one thing changed."""
    assert old in SPEC
    return write(folder, SPEC.replace(old, new))


def refuse(path: Path, *overrides: str | Path) -> str:
    """What is reported for a spec that is not valid; every report has the five parts."""
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    message = str(caught.value)
    for report in message.split("\n\n"):
        for part in ("found: ", "allowed: ", "next: "):
            assert f"\n  {part}" in report, report
    return message


def places(message: str, path: Path) -> list[str]:
    """The `line:column: path` of each report, in their order."""
    lines = [line for line in message.splitlines() if line.startswith(f"{path}:")]
    return [": ".join(line.removeprefix(f"{path}:").split(": ")[:2]) for line in lines]
