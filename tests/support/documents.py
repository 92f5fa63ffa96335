"""Documents that do what they say: their blocks, and a reader who runs them in their order.

A comment above a block says how it is treated otherwise: `not run` (checked only), `file` (written
where it says), `installed` (the distribution of this folder is there), `postgres` (this URL is).
Runs are cut to two steps and one seed, which changes no command.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmlab.cli import main
from support.checkout import ROOT

README = ROOT / "README.md"
#: The pages of docs/, its index among them.
DOCS = sorted(ROOT.glob("docs/**/*.md"))
#: What a visitor of the project meets: at most 120 columns wide, with a plain first sentence.
FRONT = [
    README,
    *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *DOCS,
]
#: Every document whose blocks do what they say.
PAGES = [*FRONT, *sorted(ROOT.glob("plugins/*/README.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[a-z ]+): (?P<about>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {"sh", "toml", "python", "sql", "text"}
MARKS = {None, "not run", "file", "installed", "postgres"}
SHORT = ("--device", "cpu", "--set", "train.max_steps=2", "--set", "sweep.seeds=[0]")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; `line` is the line above its text."""

    document: str
    line: int
    language: str
    text: str
    mark: str | None
    about: str

    @property
    def runs(self) -> bool:
        """Whether a reader does something with it."""
        return self.mark != "not run" and self.language != "text"

    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block, without comments; "\\" joins lines."""
        text = self.text.replace("\\\n", " ")
        lines = [shlex.split(line, comments=True) for line in text.splitlines()]
        return [words for words in lines if words]


def find_blocks(path: Path) -> list[Block]:
    """Every block of a document. Fails where one is not closed or of an unknown kind."""
    text = path.read_text(encoding="utf-8")
    blocks = [
        Block(
            document=str(path.relative_to(ROOT)),
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=found["text"],
            mark=found["mark"],
            about=found["about"] or "",
        )
        for found in BLOCK.finditer(text)
    ]
    marks = sum(block.mark is not None for block in blocks)
    assert len(re.findall("^```", text, re.MULTILINE)) == 2 * len(blocks), path
    assert len(re.findall("^<!-- ", text, re.MULTILINE)) == marks, path
    assert {block.language for block in blocks} <= LANGUAGES, path
    assert {block.mark for block in blocks} <= MARKS, path
    return blocks


def commands(blocks: Sequence[Block]) -> Iterator[list[str]]:
    """The words of every command of the shell blocks."""
    return (words for block in blocks if block.language == "sh" for words in block.commands())


def unknown_options(blocks: Sequence[Block]) -> list[str]:
    """Complaints about mmlab's commands whose verb or option does not exist."""
    checked = [words[1:] for words in commands(blocks) if words[0] == "mmlab"]
    results = [(words, CliRunner().invoke(main, [*words, "--help"])) for words in checked]
    return [f"mmlab {words}: {done.output}" for words, done in results if done.exit_code]


def prose(path: Path) -> str:
    """A document without its blocks."""
    return BLOCK.sub("", path.read_text(encoding="utf-8"))


def mentioned_verbs(path: Path) -> set[str]:
    """Verbs of mmlab that a document names in its prose."""
    return set(re.findall(r"`mmlab\s+([a-z]+)", prose(path)))


def first_paragraph(path: Path) -> str:
    """What stands between a document's title and the first blank line after it."""
    title, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
    assert re.fullmatch("# .+", title), f"{path}: begins with a title and a blank line"
    return rest.partition("\n\n")[0]


def links(path: Path) -> list[str]:
    """Where a document's links and pictures point to."""
    return re.findall(r"\]\(([^)]+)\)", prose(path))


def dead_links(path: Path) -> list[str]:
    """Links of a document that lead nowhere in the checkout."""
    inside = [link for link in links(path) if not link.startswith("https://")]
    return [link for link in inside if not _leads_somewhere(path, link)]


def _leads_somewhere(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = path.parent / name if name else path
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(path: Path) -> set[str]:
    """What a heading is called in links: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall("^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Reader:
    """Someone who does what a document says, in an empty folder beside the experiments."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, postgres: str) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.postgres = postgres
        shutil.copytree(ROOT / "experiments", folder / "experiments")
        monkeypatch.chdir(folder)
        for name in ("MMLAB_DB", "MMLAB_RUNS", "MMLAB_CACHE"):
            monkeypatch.delenv(name, raising=False)

    def fault(self, block: Block) -> str | None:
        """What went wrong with a block, if anything."""
        try:
            self.do(block)
        except Exception as error:  # all blocks are tried, whatever one of them raises
            return f"{block.document}:{block.line}: {type(error).__name__}: {error}"
        return None

    def do(self, block: Block) -> None:
        """What the block asks for."""
        if block.mark == "file":
            path = self.folder / block.about
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            if block.about.count("/") == 0 and "schema_version" in tomllib.loads(block.text):
                self.mmlab("validate", block.about)
        elif block.language == "sh":
            for words in block.commands():
                self.command(block, words)
        elif block.language == "python":
            exec(compile(block.text, f"{block.document}:{block.line}", "exec"), {})
        else:
            self.query(block.text)

    def command(self, block: Block, words: list[str]) -> None:
        """One line of a shell block."""
        if words[:3] == ["pip", "install", "-e"]:
            self.install(self.folder / words[3])
            return
        assert words[0] == "mmlab", words
        if block.mark == "postgres":
            words = [self.postgres if word == block.about else word for word in words]
        self.mmlab(*words[1:])

    def mmlab(self, verb: str, *arguments: str) -> None:
        """One command of mmlab; it must succeed."""
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
