"""A database of this mmlab meets the next one: copies of the package, changed as a release would.

Every copy is run by a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import ROOT
from support.lab import TOY, Lab, child_environment

MORE = """    warp: Annotated[float, Field(ge=0, description="warp"), Added(0)] = 0.0
    pace: Annotated[Pace | None, Field(description="pace"), Added(None)] = None
    wind: Annotated[Pace, Field(description="wind"), Added({"speed": 1.0})] = Pace()
"""
PACE = '''class Pace(Table):
    """A table that the version before did not have."""

    speed: float = 1


class TrainTable(Table):'''


class Version:
    """A copy of mmlab in a folder; its texts can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("mmlab", "alembic"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def statuses(self, lab: Lab, *specs: Path) -> list[str]:
        """What `mmlab run` of this version answers for the cells of specs."""
        known = child_environment()
        path = os.pathsep.join([str(self.folder), known["PYTHONPATH"]])
        command = [sys.executable, "-m", "mmlab", "run", *map(str, specs), "--db", lab.db]
        done = subprocess.run(
            [*command, "--device", "cpu", "--json"],
            env={**known, "PYTHONPATH": path},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [outcome["status"] for outcome in json.loads(done.stdout)["outcomes"]]


@pytest.mark.slow
def test_a_new_minor_version_with_more_keys_and_components_runs_nothing_again(
    sqlite_lab: Lab, tmp_path: Path
) -> None:
    spec = sqlite_lab.write("toy", TOY)
    assert sqlite_lab.statuses(spec) == ["done"]
    version = Version(tmp_path / "next")
    version.change("mmlab/__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0"')
    tables = "mmlab/spec/tables.py"
    version.change(tables, "from mmlab.plugin import ", "from mmlab.plugin import Added, ")
    version.change(tables, "class TrainTable(Table):", PACE)
    version.change(tables, "    compile: Annotated[", f"{MORE}    compile: Annotated[")
    head = '"linear": "mmlab.model.heads:Linear",'
    version.change("mmlab/plan/registry.py", head, head + head.replace("linear", "flat", 1))
    flat = sqlite_lab.write("flat", [table.replace('"linear"', '"flat"') for table in TOY])
    warped = sqlite_lab.write("warped", TOY, "[train.pace]\n")
    assert version.statuses(sqlite_lab, spec, flat, warped) == ["skipped", "done", "done"]


@pytest.mark.slow
def test_a_changed_default_runs_again_what_leaves_it_out_alone(
    sqlite_lab: Lab, tmp_path: Path
) -> None:
    left_out = sqlite_lab.write("out", TOY)
    by_hand = sqlite_lab.write(
        "hand", [t.replace("[train]", "[train]\nclip_norm = 1") for t in TOY]
    )
    assert sqlite_lab.statuses([left_out, by_hand]) == ["done", "done"]
    version = Version(tmp_path / "next")
    clip = 'Field(ge=0, description="largest norm of the gradient; 0 leaves it alone")\n    ] = '
    version.change("mmlab/spec/tables.py", f"{clip}1.0", f"{clip}0.5")
    assert version.statuses(sqlite_lab, left_out, by_hand) == ["done", "skipped"]
