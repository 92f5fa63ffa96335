"""What a case of bad input is: how it comes about, what is said of it, and what it may leave."""

from __future__ import annotations

import re
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

_PART = re.compile(r"  (found|allowed|next): .")

Edit = tuple[str, str]
Leaves = Literal["nothing", "a failed run"]


@dataclass(frozen=True)
class Says:
    """The five parts of a message: how it begins, and what each other part contains."""

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


def check_parts(says: Says, message: str) -> None:
    """The first paragraph of a message has the five parts, and each contains what it must."""
    headline, *rest = message.removeprefix("error: ").split("\n\n")[0].splitlines()
    found = dict(line.strip().split(": ", 1) for line in rest if _PART.match(line))
    assert set(found) == {"found", "allowed", "next"}, f"not all parts are there:\n{message}"
    assert headline.startswith(says.place), message
    assert ": " in headline, message
    assert says.fault in headline.removeprefix(says.place), message
    assert says.found in found["found"], message
    assert says.allowed in found["allowed"], message
    assert says.next in found["next"], message
