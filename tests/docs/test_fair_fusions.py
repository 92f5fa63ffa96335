"""The page on the speed of fusions states what was measured."""

from __future__ import annotations

import json
import re

from support.checkout import ROOT


def test_the_speeds_of_operators_are_those_that_were_measured() -> None:
    page = (ROOT / "docs/inside/fusion-speed.md").read_text(encoding="utf-8")
    table = page.split("## How fast operators are")[1]
    stated = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \(", table, re.MULTILINE)
    rows = json.loads((ROOT / "benchmarks/results/fusions-cpu.json").read_text())["rows"]
    assert len(stated) == len(rows) > 20
    for (name, parameters, rate, ratio), row in zip(stated, rows, strict=True):
        assert name == row["fusion"]
        assert parameters == f"{row['parameters']:,}"
        assert rate == f"{row['samples_per_second']:,}"
        assert float(ratio) == round(row["ratio"], len(ratio.partition(".")[2]))
