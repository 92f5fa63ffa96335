"""Makes the stranger's distribution look installed, as its wheel would, without installing it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from support.checkout import TESTS

SOURCE = TESTS / "stranger"
SPEC = SOURCE / "shapes.toml"


def install(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """Write the metadata of the distribution to a folder, and put it and the source on the path."""
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    folder = site / f"stranger_mmlab-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    lines = [f"{key} = {value}" for key, value in project["entry-points"]["mmlab"].items()]
    (folder / "entry_points.txt").write_text("\n".join(["[mmlab]", *lines, ""]))
    metadata = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
    (folder / "METADATA").write_text("".join(f"{k}: {v}\n" for k, v in metadata.items()))
    for path in (SOURCE, site):
        monkeypatch.syspath_prepend(str(path))
