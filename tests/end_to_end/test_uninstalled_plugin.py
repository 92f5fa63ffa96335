"""What a plugin left behind is read without it, and what needs it names it with its version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.strange import SPEC, install

from mmlab.cli import main


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--db", "one.db"])


@pytest.mark.slow
def test_stored_results_outlive_the_plugin_that_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("MMLAB_IN_PROCESS", "1")
    Path("more.toml").write_text('schema_version = 1\n[[evaluate]]\nuse = "retrieval"\n')
    with monkeypatch.context() as installed:
        install(installed, tmp_path / "site")
        ran = call("run", str(SPEC), "--set", "train.epochs=1", "--device", "cpu")
        assert ran.exit_code == 0, ran.output
    for verb in (("ls",), ("show", "@last"), ("report",)):
        told = call(*verb, "--json")
        assert told.exit_code == 0, told.output
        json.loads(told.stdout)
    asked = call("evaluate", "@last", "more.toml", "--device", "cpu")
    assert asked.exit_code == 4, asked.output
    assert "made with plugins that are not installed" in asked.output
    assert "stranger-mmlab==3.1.4" in asked.output
    assert "pip install stranger-mmlab==3.1.4" in asked.output
