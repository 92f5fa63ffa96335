"""`mmlab plugins new` writes distributions that install and pass at once, all side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmlab.cli import main
from mmlab.cli.plugins_new import kinds
from mmlab.plugin.hooks import KINDS


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugins", "new", *arguments])


def run(folder: Path, site: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_kind_of_component_has_templates() -> None:
    assert set(KINDS) <= set(kinds())


@pytest.mark.slow
def test_every_kind_installs_and_passes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"fresh-{kind}" for kind in kinds()]
    for kind, name in zip(kinds(), names, strict=True):
        assert new(kind, name).exit_code == 0
    site = tmp_path / "site"
    run(
        tmp_path, site, "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
        "--target", str(site), *(f"./{name}" for name in names),
    )  # fmt: skip
    told = run(tmp_path, site, "pytest", "-q", "-p", "no:cacheprovider", *names)
    assert " passed" in told
    run(tmp_path, site, "mmlab", "validate", *(f"{name}/example.toml" for name in names))
    spec = tmp_path / "fresh-dataset" / "example.toml"
    assert "#:schema ./mmlab.schema.json" in spec.read_text()
    run(tmp_path, site, "mmlab", "run", str(spec), "--set", "train.epochs=1", "--db", "one.db")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("My_Fusion", "small letters, digits and single hyphens"),
        ("json", "a module 'json' exists already"),
        ("mmlab", "a module 'mmlab' exists already"),
        ("class", "a module 'class' exists already"),
        ("../elsewhere", "is no name for a distribution"),
    ],
)
def test_a_name_that_cannot_be_a_distribution_is_refused(
    name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = new("fusion", name)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert not any(tmp_path.iterdir())


def test_what_is_there_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert new("loss", "my-loss").exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == 10
    result = new("fusion", "my-loss")
    assert result.exit_code == 2
    assert "there is such a file or folder already" in result.stderr
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
