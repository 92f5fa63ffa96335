"""Every page does what it says: its blocks run, in their order, as a reader would run them.

Pages are those at the root, those of docs/, and every plugin's README. Each is read in an empty
folder.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.checkout import ROOT
from support.documents import (
    DOCS,
    FRONT,
    LANGUAGES,
    MARKS,
    PAGES,
    Reader,
    commands,
    dead_links,
    find_blocks,
    first_paragraph,
    links,
    mentioned_verbs,
    prose,
    unknown_options,
)

from mmlab.cli import ALIASES, COMMANDS

BLOCKS = [block for path in PAGES for block in find_blocks(path)]
FOLDERS = ("start", "guide", "extend", "reference", "experiments", "inside")
MAKE = "installs; compared with the Makefile"


def name(path: Path) -> str:
    """A page as a test's name says it."""
    return str(path.relative_to(ROOT))


def test_there_are_pages_in_every_folder() -> None:
    assert {path.parent.name for path in DOCS} == {"docs", *FOLDERS}
    assert len(PAGES) > 40


def test_there_is_a_block_of_every_kind() -> None:
    assert {block.language for block in BLOCKS} == LANGUAGES
    assert {block.mark for block in BLOCKS} == MARKS


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs/README.md"
    named = {(index.parent / link).resolve() for link in links(index)}
    assert [name(path) for path in PAGES[1:] if path != index and path not in named] == []


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


def test_the_pages_try_many_commands() -> None:
    assert len([words for words in commands(BLOCKS) if words[0] == "mmlab"]) > 50


def test_every_verb_is_in_the_reference() -> None:
    verbs = mentioned_verbs(ROOT / "docs/reference/commands.md")
    assert verbs == set(COMMANDS)
    assert not verbs & set(ALIASES)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_page_names_only_what_there_is(path: Path) -> None:
    assert unknown_options(find_blocks(path)) == []
    assert mentioned_verbs(path) <= set(COMMANDS)
    assert dead_links(path) == []


@pytest.mark.parametrize("path", FRONT, ids=name)
def test_no_line_is_wider_than_120_characters(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > 120] == []


@pytest.mark.parametrize("path", FRONT, ids=name)
def test_a_page_begins_with_a_sentence_of_plain_words(path: Path) -> None:
    sentence = first_paragraph(path).partition(". ")[0]
    assert re.match(r"[A-Z][a-z-]*[ ,]|mmlab ", sentence), sentence
    assert 5 < len(sentence.split()) < 45
    assert first_paragraph(path).endswith(".")


def test_the_ways_through_the_code_name_what_is_there() -> None:
    text = prose(ROOT / "docs/inside/architecture.md")
    files = set(re.findall(r"`(?:mmlab/)?([\w/]+\.py)`", text))
    stops = re.findall(r"`([\w.]+)`\s\(`([\w/]+\.py)`\)", text)
    assert len(files) > 20
    assert len(stops) > 25
    assert [file for file in files if not (ROOT / "mmlab" / file).is_file()] == []
    assert [stop for stop in stops if not defines(ROOT / "mmlab" / stop[1], stop[0])] == []


def defines(path: Path, name: str) -> bool:
    """Whether a module has a function or class of this name, or a class with this method."""
    last = name.rpartition(".")[2]
    return bool(re.search(rf"^\s*(def|class) {last}\b", path.read_text("utf-8"), re.MULTILINE))


def test_the_plugin_has_fewer_than_40_lines() -> None:
    blocks = find_blocks(ROOT / "docs/extend/first-plugin.md")
    files = [block for block in blocks if block.mark == "file" and "/" in block.about]
    assert len(files) == 3
    assert sum(len(block.text.splitlines()) for block in files) < 40


def test_the_figures_of_benchmarks_are_those_that_were_measured() -> None:
    page = (ROOT / "docs/inside/benchmarks.md").read_text(encoding="utf-8")
    table = page.split("## Ratios")[1].split("## ")[0]
    measured = benchmark_figures()
    assert re.findall(r"\| ([\d.]+(?: / [\d.]+)*) \|$", table, re.MULTILINE) == measured


def benchmark_figures() -> list[str]:
    """The column of ratios, from the files that the benchmarks wrote."""
    helps, rows = result("help")["arms"], result("ranking-rows")["databases"]
    frames, images = result("read-frames")["databases"], result("images-in")["rows"]
    real = next(row for row in result("step")["rows"] if row["size"] == "real")
    small, large = (each["ratio"] for each in result("regions")["encoders"].values())
    return [
        *(f"{helps[f'{peer} --help']['ratio_to_ours']:.2f}" for peer in ("alembic", "mlflow")),
        *(f"{one['wall_ratio']:.2f} / {one['cpu_ratio']:.2f}" for one in rows.values()),
        *(f"{frames[f'{peer} rankings']['cpu_ratio']:.2f}" for peer in ("sqlite", "postgres")),
        " / ".join(f"{row['ratio']:.2f}" for row in images),
        f"{small['loop / windows']:.2f}",
        f"{large['loop / windows']:.2f} / {large['loop, read / windows, read']:.2f}",
        *(f"{result('classifier')[arm]['ratio']:.2f}" for arm in ("classifier", "images")),
        f"{result('zero-shot-measures')['order_measures']['ratio']:.2f}",
        f"{result('features')['ratio']:.1f}",
        *(f"{row['ratio_quartiles'][1]:.2f}" for row in result("contrastive")["rows"]),
        f"{real['ratio']:.3f}",
    ]


def result(benchmark: str) -> Any:  # Any: a JSON document
    """What a benchmark wrote."""
    return json.loads((ROOT / f"benchmarks/results/{benchmark}-cpu.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_block_of_a_page_does_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    reader = Reader(tmp_path, monkeypatch, empty_postgres_url)
    blocks = [block for block in find_blocks(path) if block.runs]
    assert [fault for block in blocks if (fault := reader.fault(block))] == []


def test_the_picture_of_the_folders_is_that_of_the_imports() -> None:
    page = (ROOT / "docs/inside/architecture.md").read_text(encoding="utf-8")
    shown = page.split("folders.py -->\n```text\n")[1].partition("\n```")[0]
    script = [sys.executable, str(ROOT / ".ci/folders.py")]
    printed = subprocess.run(script, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.splitlines() == printed.splitlines()
