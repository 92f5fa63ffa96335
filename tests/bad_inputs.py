"""What a case of bad input is: how it comes about, what is said of it, and what it may leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

#: A valid spec that trains in a moment; bad specs are edits of it.
SPEC = """\
# Is every fault named?
schema_version = 1
name = "bad"

[dataset]
use = "shapes"
count = 9

[encoders.image]
use = "grid"
pixels = 8
cells = 2
dim = 4

[encoders.text]
use = "transformer"
width = 32
depth = 1

[fusion]
use = "product"
dim = 4

[head]
use = "linear"

[[losses]]
use = "cross_entropy"

[train]
epochs = 2
batch_size = 3

[[evaluate]]
use = "classification"
"""

Edit = tuple[str, str]
Leaves = Literal["nothing", "a failed run"]


@dataclass(frozen=True)
class Says:
    """The five parts of a message: what each must contain."""

    place: str
    fault: str
    found: str
    allowed: str
    next: str


@dataclass(frozen=True)
class Case:
    """One bad input. `prepare` works in the folder that holds spec.toml and mmlab.db."""

    name: str
    exit_code: int
    says: Says
    edits: tuple[Edit, ...] = ()
    arguments: tuple[str, ...] = ("run", "spec.toml", "--device", "cpu")
    prepare: Callable[[Path], None] = lambda folder: None
    leaves: Leaves = "nothing"
    files: dict[str, str | bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put the spec and whatever else belongs to the case into a folder."""
        text = SPEC
        for old, new in self.edits:
            assert old in text, f"{self.name}: the spec has no {old!r}"
            text = text.replace(old, new, 1)
        for name, content in {"spec.toml": text, **self.files}.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data)
        self.prepare(folder)


def parts(message: str) -> Says:
    """The five parts of the first paragraph of a message; a missing one is an AssertionError."""
    lines = message.removeprefix("error: ").split("\n\n")[0].splitlines()
    found = {
        key: line.split(": ", 1)[1]
        for key in ("found", "allowed", "next")
        for line in lines
        if line.startswith(f"  {key}: ")
    }
    assert len(found) == 3, f"not all parts are there:\n{message}"
    assert ": " in lines[0], f"no place:\n{message}"
    place, fault = lines[0].split(": ", 1)
    return Says(place, fault, **found)
