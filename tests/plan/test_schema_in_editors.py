"""Tombi, which editors ask about TOML, lints specs by the schema, plugins' options too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import EXPERIMENTS
from support.strange import SPEC as STRANGE
from support.strange import install

from mmlab.cli.schema import schema_text

TOMBI = shutil.which("tombi", path=str(Path(sys.executable).parent))


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the schema of an installation that has a stranger's plugin."""
    install(monkeypatch, tmp_path / "site")
    (tmp_path / "mmlab.schema.json").write_text(schema_text(), encoding="utf-8")
    return tmp_path


def write(folder: Path, spec: Path, old: str = "", new: str = "") -> Path:
    """The spec below the line that tells an editor its schema, one text put for another."""
    text = spec.read_text(encoding="utf-8")
    assert old in text
    written = folder / "-".join(spec.parts[-2:])
    text = f"#:schema ./mmlab.schema.json\n{text.replace(old, new, 1)}"
    written.write_text(text, encoding="utf-8")
    return written


def lint(folder: Path, *specs: Path) -> str:
    """What Tombi says, without fetching anything; warnings are faults."""
    assert TOMBI, "tombi is among the test tools: pip install tombi"
    command = [TOMBI, "lint", "--offline", "--error-on-warnings", *map(str, specs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode == 0) == ("Error" not in done.stdout + done.stderr)
    return done.stdout + done.stderr if done.returncode else ""


def test_every_experiment_and_a_strangers_spec_pass(specs: Path) -> None:
    assert lint(specs, *(write(specs, path) for path in [*EXPERIMENTS, STRANGE])) == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('use = "product"', 'use = "product"\ncolour = 1', "colour"),
        ('use = "grid"', 'use = "grid"\ncells = "many"', "Integer"),
        ('use = "hinge"', 'use = "hings"', "hings"),
    ],
)
def test_faults_in_a_strangers_options_are_told(
    specs: Path, old: str, new: str, words: str
) -> None:
    assert words in lint(specs, write(specs, STRANGE, old, new))
