"""The README does what it says: its blocks run, in their order, as a reader would run them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.checkout import ROOT
from support.documents import (
    BLOCK,
    LANGUAGES,
    MARKS,
    Reader,
    commands,
    dead_links,
    find_blocks,
    unknown_options,
)

from mmlab.cli import ALIASES, COMMANDS

PATH = ROOT / "README.md"
README = PATH.read_text(encoding="utf-8")
BLOCKS = find_blocks(PATH)
MAKE = "installs; compared with the Makefile"


def test_there_is_a_block_of_every_kind() -> None:
    assert {block.language for block in BLOCKS} == LANGUAGES
    assert {block.mark for block in BLOCKS} == MARKS


def test_the_plain_lines_are_those_of_make() -> None:
    listing = ["make", "-C", str(ROOT), "--dry-run", "--always-make", "run", "test"]
    printed = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    lines = [
        line.partition("  #")[0].strip()
        for block in BLOCKS
        if block.about == MAKE
        for line in block.text.splitlines()
    ]
    plain = [line for line in lines if not line.startswith("make ")]
    assert {"make run", "make test"} <= set(lines)
    assert len(plain) > 5
    assert [line for line in plain if line not in printed] == []


def test_every_command_has_options_that_there_are() -> None:
    assert len([words for words in commands(BLOCKS) if words[0] == "mmlab"]) > 15
    assert unknown_options(BLOCKS) == []


def test_every_verb_that_is_mentioned_exists() -> None:
    verbs = set(re.findall(r"`mmlab ([a-z]+)", README))
    assert verbs == set(COMMANDS)
    assert not verbs & set(ALIASES)


def test_every_link_leads_somewhere() -> None:
    assert re.findall(r"\]\([^)]+\)", BLOCK.sub("", README))
    assert dead_links(PATH) == []


def test_the_plugin_has_fewer_than_40_lines() -> None:
    files = [block for block in BLOCKS if block.mark == "file" and "/" in block.about]
    assert len(files) == 3
    assert sum(len(block.text.splitlines()) for block in files) < 40


def test_the_figures_of_benchmarks_are_those_that_were_measured() -> None:
    table = README.split("## Benchmarks")[1].split("## ")[0]
    measured = benchmark_figures()
    assert re.findall(r"\| ([\d.]+(?: / [\d.]+)*) \|$", table, re.MULTILINE) == measured


def benchmark_figures() -> list[str]:
    """The column of ratios, from the files that the benchmarks wrote."""
    helps, rows = result("help")["arms"], result("ranking-rows")["databases"]
    frames, images = result("read-frames")["databases"], result("images-in")["rows"]
    real = next(row for row in result("step")["rows"] if row["size"] == "real")
    return [
        *(f"{helps[f'{peer} --help']['ratio_to_ours']:.2f}" for peer in ("alembic", "mlflow")),
        *(f"{one['wall_ratio']:.2f} / {one['cpu_ratio']:.2f}" for one in rows.values()),
        *(f"{frames[f'{name} rankings']['cpu_ratio']:.2f}" for name in ("sqlite", "postgres")),
        " / ".join(f"{row['ratio']:.2f}" for row in images),
        *(f"{result('classifier')[arm]['ratio']:.2f}" for arm in ("classifier", "images")),
        f"{result('zero-shot-measures')['order_measures']['ratio']:.2f}",
        f"{result('features')['ratio']:.1f}",
        *(f"{row['ratio_quartiles'][1]:.2f}" for row in result("contrastive")["rows"]),
        f"{real['ratio']:.3f}",
    ]


def result(name: str) -> Any:  # Any: a JSON document
    return json.loads((ROOT / f"benchmarks/results/{name}-cpu.json").read_text())


@pytest.mark.slow
def test_every_block_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    reader = Reader(tmp_path, monkeypatch, empty_postgres_url)
    blocks = [block for block in BLOCKS if block.runs]
    assert len(blocks) > 10
    assert [fault for block in blocks if (fault := reader.fault(block))] == []
