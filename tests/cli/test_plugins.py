"""What is installed, as `plugins`, `schema` and `init` tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.strange import install

from mmlab.cli import main

COMPONENTS = {("encoder", "grid"), ("fusion", "product"), ("loss", "hinge"), ("dataset", "shapes")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, beside an installed stranger."""
    install(monkeypatch, tmp_path / "site")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def ask(*arguments: str) -> Any:  # Any: a JSON document
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def break_a_plugin(site: Path) -> None:
    """A distribution whose entry point names a module that does not exist."""
    folder = site / "broken_mmlab-0.3.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-mmlab\nVersion: 0.3\n")
    (folder / "entry_points.txt").write_text("[mmlab]\nbroken = no_such_module\n")


def test_every_component_is_one_object() -> None:
    components = ask("plugins", "list")["components"]
    strange = [c for c in components if c["distribution"] == "stranger-mmlab"]
    assert {(c["kind"], c["name"]) for c in strange} == COMPONENTS
    assert {(c["version"], c["state"]) for c in strange} == {("3.1.4", "ok")}


def test_the_table_holds_what_the_json_holds() -> None:
    shown = call("plugins", "list").stdout
    for component in ask("plugins", "list")["components"]:
        assert component["name"] in shown


def test_a_kind_can_be_chosen() -> None:
    components = ask("plugins", "list", "--kind", "loss")["components"]
    assert {c["kind"] for c in components} == {"loss"}


def test_a_broken_plugin_is_listed_with_its_reason(tmp_path: Path) -> None:
    break_a_plugin(tmp_path / "site")
    components = ask("plugins", "list")["components"]
    (broken,) = [c for c in components if c["state"] == "broken"]
    assert (broken["distribution"], broken["version"]) == ("broken-mmlab", "0.3")
    assert "no_such_module" in broken["reason"]
    assert "no_such_module" in call("plugins", "list").stderr


def test_a_component_is_shown_with_its_options() -> None:
    result = call("plugins", "show", "hinge")
    assert result.exit_code == 0, result.output
    assert "stranger-mmlab 3.1.4" in result.stdout
    assert "by how much the truth must lead" in result.stdout
    options = ask("plugins", "show", "hinge", "--kind", "loss")["options"]
    assert options["properties"]["margin"]["exclusiveMinimum"] == 0


def test_an_unknown_component_is_a_usage_error() -> None:
    result = call("plugins", "show", "hnige")
    assert result.exit_code == 2
    assert "hinge" in result.stderr


def test_the_schema_knows_the_strangers_options(folder: Path) -> None:
    assert "by how much the truth must lead" in call("schema").stdout
    assert call("schema", "--out", "schema.json").exit_code == 0
    assert json.loads((folder / "schema.json").read_text()) == json.loads(call("schema").stdout)


def test_a_schema_that_cannot_be_written_is_a_usage_error() -> None:
    result = call("schema", "--out", "missing/schema.json")
    assert result.exit_code == 2
    assert "next:" in result.stderr


def test_init_writes_a_spec_that_is_valid_and_says_what_comes_next(folder: Path) -> None:
    result = call("init", "emoji.toml")
    assert result.exit_code == 0, result.output
    assert "mmlab run emoji.toml" in result.stderr
    first, question, *_ = (folder / "emoji.toml").read_text().splitlines()
    assert first == "#:schema ./mmlab.schema.json"
    assert question.endswith("?") or question.startswith("# ")
    assert (folder / "mmlab.schema.json").is_file()
    assert call("validate", "emoji.toml").exit_code == 0


def test_init_never_overwrites(folder: Path) -> None:
    (folder / "first.toml").write_text("mine")
    result = call("init")
    assert result.exit_code == 2
    assert "next:" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["first.toml"]
    assert (folder / "first.toml").read_text() == "mine"
