"""The README does what it says: its blocks run, in their order, as a reader would run them.

A comment above a block says how it is treated otherwise: `not run` (checked only), `file` (written
where it says), `installed` (the distribution of this folder is there), `postgres` (this URL is).
Runs are cut to two steps and one seed, which changes no command.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmlab.cli import ALIASES, COMMANDS, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[a-z ]+): (?P<about>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {"sh", "toml", "python", "sql", "text"}
MARKS = {None, "not run", "file", "installed", "postgres"}
MAKE = "installs; compared with the Makefile"
SHORT = ("--device", "cpu", "--set", "train.max_steps=2", "--set", "sweep.seeds=[0]")


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    text: str
    mark: str | None
    about: str

    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block, without comments."""
        lines = [shlex.split(line, comments=True) for line in self.text.splitlines()]
        return [words for words in lines if words]


def find_blocks() -> list[Block]:
    return [
        Block(
            line=README.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            mark=found["mark"],
            about=found["about"] or "",
        )
        for found in BLOCK.finditer(README)
    ]


BLOCKS = find_blocks()


def commands(mark: str | None = None) -> Iterator[tuple[Block, list[str]]]:
    for block in BLOCKS:
        if block.language == "sh" and mark in (None, block.mark):
            yield from ((block, words) for words in block.commands())


def test_every_block_is_found_and_of_a_known_kind() -> None:
    assert len(re.findall("^```", README, re.MULTILINE)) == 2 * len(BLOCKS)
    assert len(re.findall("^<!-- ", README, re.MULTILINE)) == sum(
        b.mark is not None for b in BLOCKS
    )
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
    checked = [words[1:] for _, words in commands() if words[0] == "mmlab"]
    assert len(checked) > 15
    for arguments in checked:
        result = CliRunner().invoke(main, [*arguments, "--help"])
        assert result.exit_code == 0, f"mmlab {arguments}: {result.output}"


def test_every_verb_that_is_mentioned_exists() -> None:
    verbs = set(re.findall(r"`mmlab ([a-z]+)", README))
    assert verbs == set(COMMANDS)
    assert not verbs & set(ALIASES)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", README))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_plugin_has_fewer_than_40_lines() -> None:
    files = [block for block in BLOCKS if block.mark == "file" and "/" in block.about]
    assert len(files) == 3
    assert sum(len(block.text.splitlines()) for block in files) < 40


def test_the_figures_of_benchmarks_are_those_that_were_measured() -> None:
    table = README.split("## Benchmarks")[1].split("## ")[0]
    measured = benchmark_figures()
    assert re.findall(r"\| ([\d.]+(?: / [\d.]+)?) \|$", table, re.MULTILINE) == measured


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
        f"{real['ratio']:.3f}",
    ]


def result(name: str) -> Any:  # Any: a JSON document
    return json.loads((ROOT / f"benchmarks/results/{name}-cpu.json").read_text())


@pytest.mark.slow
def test_every_block_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    reader = Reader(tmp_path, monkeypatch, empty_postgres_url)
    blocks = [block for block in BLOCKS if block.mark != "not run" and block.language != "text"]
    assert len(blocks) > 10
    assert [fault for block in blocks if (fault := reader.fault(block))] == []


class Reader:
    """Someone who does what the README says, in an empty folder beside the experiments."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, postgres: str) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.postgres = postgres
        shutil.copytree(ROOT / "experiments", folder / "experiments")
        monkeypatch.chdir(folder)
        for name in ("MMLAB_DB", "MMLAB_RUNS"):
            monkeypatch.delenv(name, raising=False)

    def fault(self, block: Block) -> str | None:
        """What went wrong with a block, if anything."""
        try:
            self.do(block)
        except Exception as error:  # all blocks are tried, whatever one of them raises
            return f"README.md:{block.line}: {type(error).__name__}: {error}"
        return None

    def do(self, block: Block) -> None:
        if block.mark == "file":
            path = self.folder / block.about
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            if block.about.count("/") == 0:
                self.mmlab("validate", block.about)
        elif block.language == "sh":
            for words in block.commands():
                self.command(block, words)
        elif block.language == "python":
            exec(compile(block.text, f"README.md:{block.line}", "exec"), {})
        else:
            self.query(block.text)

    def command(self, block: Block, words: list[str]) -> None:
        if words[:3] == ["pip", "install", "-e"]:
            self.install(self.folder / words[3])
            return
        assert words[0] == "mmlab", words
        if block.mark == "postgres":
            words = [self.postgres if word == block.about else word for word in words]
        self.mmlab(*words[1:])

    def mmlab(self, verb: str, *arguments: str) -> None:
        given = [found for one in arguments for found in self.expand(one)]
        short = SHORT if verb == "run" and "--dry-run" not in given else ()
        done = CliRunner().invoke(main, [verb, *short, *given])
        assert done.exit_code == 0, f"mmlab {verb} {given}: {done.output} {done.exception!r}"

    def expand(self, argument: str) -> list[str]:
        """What a shell makes of a pattern of files."""
        if not argument.endswith("*.toml"):
            return [argument]
        found = [str(path.relative_to(self.folder)) for path in self.folder.glob(argument)]
        assert found, argument
        return sorted(found)

    def install(self, source: Path) -> None:
        """Make a distribution look installed, from its own pyproject.toml."""
        project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
        record = source / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        record.mkdir()
        metadata = (
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        (record / "METADATA").write_text(metadata)
        points = [f"{key} = {value}\n" for key, value in project["entry-points"]["mmlab"].items()]
        (record / "entry_points.txt").write_text("[mmlab]\n" + "".join(points))
        self.monkeypatch.syspath_prepend(str(source))

    def query(self, text: str) -> None:
        """Every statement finds rows."""
        connection = sqlite3.connect(self.folder / "mmlab.db")
        for statement in filter(str.strip, text.split(";")):
            assert connection.execute(statement).fetchall(), f"no rows: {statement}"
        connection.close()
