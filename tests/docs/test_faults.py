"""The page of faults names tests that there are."""

from __future__ import annotations

import re

from support.checkout import ROOT, TESTS

ROW = re.compile(r"^\|.*\| `(\S+\.py)` (\w+) \|$")


def test_each_fault_has_its_test() -> None:
    lines = (ROOT / "docs" / "inside" / "faults.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|") and "---" not in line]
    named = [ROW.match(line) for line in rows if not line.startswith("| fault")]
    assert len(named) > 40
    for row in named:
        assert row is not None, "each row ends with a file and a part of a test's name"
        path = ROOT / row[1] if row[1].startswith("plugins/") else TESTS / row[1]
        assert re.search(rf"^def test_\w*{row[2]}", path.read_text(), re.MULTILINE), row[0]
