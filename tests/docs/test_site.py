"""The site of the documentation: its navigation, its links, and its pages made from the code.

That the whole site builds without a warning is tried by `make docs`, which needs MkDocs; what is
tried here needs none of it.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType

import pytest
from support.checkout import ROOT

import mmlab
import mmlab.plugin
import mmlab.testing
from mmlab.cli import COMMANDS
from mmlab.store import tables, views


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that makes pages from the code."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/.site"))
    monkeypatch.delitem(sys.modules, "generated_pages", raising=False)
    return importlib.import_module("generated_pages")


def test_every_command_is_shown_with_its_help(generated: ModuleType) -> None:
    page = generated.commands()
    assert [verb for verb in COMMANDS if f"\n## mmlab {verb}\n" not in page] == []
    assert "\n### mmlab db upgrade\n" in page
    assert "--no-wait" in page


def test_every_table_view_and_column_is_shown(generated: ModuleType) -> None:
    page = generated.databases()
    known = [*views.metadata.sorted_tables, *tables.metadata.sorted_tables]
    assert len(known) > 30
    assert [one.name for one in known if f"\n### {one.name}\n" not in page] == []
    lacking = [c for one in known for c in one.columns if f"| `{c.name}` | {c.type} |" not in page]
    assert lacking == []


def test_every_option_of_a_component_is_shown(generated: ModuleType) -> None:
    pages = generated.pages()
    assert list(pages) == list(generated.TITLES.values())
    fusions = pages["reference/generated/fusion.md"]
    assert "\n## gating\n" in fusions
    assert "| `dim` | integer >= 1 <= 10000 | `256` | width of the result |" in fusions
    assert "| `StoreError` | 5 |" in pages["reference/generated/errors.md"]
    assert (
        "| `warmup_fraction` | number >= 0 <= 1 | `0.1` |"
        in pages["reference/generated/spec-keys.md"]
    )


def test_a_cell_of_a_table_is_one_line(generated: ModuleType) -> None:
    assert generated.table(("a", "b"), [("x | y", "one\n two")]) == (
        "| a | b |\n| --- | --- |\n| x \\| y | one two |"
    )


@pytest.mark.parametrize("module", [mmlab, mmlab.plugin, mmlab.testing], ids=lambda m: m.__name__)
def test_every_public_name_is_in_the_list_that_pydoc_shows(module: ModuleType) -> None:
    listed = set(module.__all__)
    public = {
        name
        for name, found in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(found)
    }
    taken = {"import_module", "TYPE_CHECKING"}  # what the modules themselves need
    assert public - taken <= listed
    assert [name for name in listed if getattr(module, name, None) is None] == []
