"""Where tests stand: beside what they test, and none leans on another."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.checkout import ROOT, TESTS

FILES = sorted([*TESTS.rglob("*.py"), *ROOT.glob("plugins/*/tests/**/*.py")])
#: Folders of tests that are not about one folder of mmlab.
OTHERS = {"chaos", "docs", "end_to_end", "golden", "old_databases", "stranger", "support"}


def imports_of_tests(files: Sequence[Path]) -> list[str]:
    """`file: name` of every import of a module of tests or of a conftest."""
    tests = {path.stem for path in files if path.stem.startswith("test_")} | {"conftest"}
    return [
        f"{path.name}: {name}"
        for path in files
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if tests & set(name.split("."))
    ]


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all that a module imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def test_no_test_imports_another() -> None:
    assert len(FILES) > 100
    assert imports_of_tests(FILES) == []


def test_an_import_of_a_test_is_noticed_however_it_is_written(tmp_path: Path) -> None:
    texts = {
        "test_a": "import test_b\nfrom support.lab import Lab\n",
        "test_b": "def late():\n    from tests.store.test_c import make\n",
        "test_c": "from . import test_a\nfrom conftest import lab\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert imports_of_tests(sorted(tmp_path.iterdir())) == [
        "test_a.py: test_b",
        "test_b.py: tests.store.test_c.make",
        "test_c.py: .test_a",
        "test_c.py: conftest.lab",
    ]


def test_every_folder_of_tests_is_named_after_one_of_mmlab() -> None:
    folders = {path.parent.name for path in TESTS.glob("*/*.py")} - OTHERS
    assert len(folders) > 10
    assert sorted(name for name in folders if not (ROOT / "mmlab" / name).is_dir()) == []


def test_what_is_no_test_stands_in_support() -> None:
    assert list((TESTS / "support").glob("test_*.py")) == []
    helpers = [path for path in FILES if not path.stem.startswith(("test_", "conftest"))]
    places = [path.relative_to(ROOT) for path in helpers]
    assert [str(place) for place in places if not OTHERS & set(place.parts)] == []
