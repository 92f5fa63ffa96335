"""The files that a project is known by say the same as its code."""

from __future__ import annotations

import re
import tomllib

import pytest
from support.checkout import ROOT

import mmlab

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_licence_is_the_one_that_is_declared() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert text == (ROOT / "plugins/datasets/LICENSE").read_text("utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", PROJECT["name"]),
        ("version", mmlab.__version__),
        ("license", PROJECT["license"]),
        ("abstract", PROJECT["description"]),
    ],
)
def test_the_citation_names_this_project(key: str, value: str) -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(f"^{key}: (.+)$", text, re.MULTILINE) == [value]


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall("^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_what_mmlab_leaves_in_a_checkout_is_ignored() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"mmlab.db*", "mmlab-runs/", "mmlab-cache/", "/mmlab-report/"} <= set(ignored)
