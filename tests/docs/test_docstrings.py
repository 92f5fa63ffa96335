"""Examples in docstrings (doctests) are run: what they print is what they say."""

from __future__ import annotations

import doctest
import importlib
import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from support.checkout import ROOT

FOLDERS = (ROOT / "mmlab", *sorted((ROOT / "plugins").glob("*/mmlab_*")))
PROMPT = ">>> "


def module_name(path: Path, folder: Path) -> str:
    return ".".join(path.relative_to(folder.parent).with_suffix("").parts)


MODULES = [
    module_name(path, folder)
    for folder in FOLDERS
    for path in sorted(folder.rglob("*.py"))
    if PROMPT in path.read_text(encoding="utf-8")
]


def test_there_are_examples() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_print_what_they_say(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".__init__"))
    said = io.StringIO()
    with redirect_stdout(said):
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.failed == 0, said.getvalue()
    assert found.attempted > 0
