"""What a case of bad input is: how it comes about, what is said of it, and what it may leave."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from click.testing import CliRunner, Result

from mmlab.cli import main

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

#: Where a run that failed is noted; nothing else may have new rows.
NOTES = {
    *("specs", "runs", "attempts", "metrics", "cells", "identities", "metric_declarations"),
}

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1  # of <linux/prctl.h> and <linux/capability.h>

Edit = tuple[str, str]
Dump = Mapping[str, list[tuple[object, ...]]]
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


def check_message(case: Case, result: Result) -> None:
    """The exit code is right, and stderr alone has the five parts without a traceback."""
    said = result.stderr
    assert result.exit_code == case.exit_code, result.output
    assert result.stdout == ""
    assert "Traceback" not in said
    assert "CANARY" not in said
    paragraph = said
    if case.arguments[0] == "run" and not said.startswith("error: "):
        paragraph = said.partition("failed")[2].partition("\n")[2]
    check_parts(case.says, paragraph)


def check_rows(case: Case, before: Dump, after: Dump) -> None:
    """Nothing was written, or no more than that one run failed, and why."""
    if case.leaves == "nothing":
        assert after == before
        return
    new = {name: [row for row in rows if row not in before[name]] for name, rows in after.items()}
    assert all(row in after[name] for name, rows in before.items() for row in rows)
    assert {name for name, rows in new.items() if rows} <= NOTES
    assert len(new["runs"]) == len(new["attempts"]) == 1
    assert any(cell == "failed" for cell in new["runs"][0])


def check_files(case: Case, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> None:
    """No file has changed, and none is new but weights and inputs of a run that failed."""
    assert before.items() <= after.items()
    new = after.keys() - before.keys()
    assert all(name.startswith(("mmlab-runs/", "mmlab-cache/")) for name in new)
    assert case.leaves == "a failed run" or not new


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, the database aside."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith("mmlab.db")}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def offer(site: Path, name: str, module: str) -> None:
    """Make a module look like an installed plugin."""
    home = site / f"{name}_mmlab-0.3.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-mmlab\nVersion: 0.3\n")
    (home / "entry_points.txt").write_text(f"[mmlab]\n{name} = {module}\n")


def run_in_a_child(
    *arguments: str, file_bytes: int | None = None, stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which cannot write files larger than so many bytes.

    It heeds the permissions of files even where it is root's.
    """

    def limit() -> None:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mmlab", *arguments]
    return subprocess.run(
        command,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        check=False,
    )


@contextmanager
def read_only(*paths: Path) -> Iterator[None]:
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(0o755)


def check_child(says: Says, exit_code: int, done: subprocess.CompletedProcess[str]) -> None:
    """As `check_message`, for a process."""
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    check_parts(says, "error: " + done.stderr.partition("error: ")[2])
