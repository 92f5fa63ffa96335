"""What is installed, as `plugins`, `schema` and `init` tell it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.strange import install

from mmlab.cli import main
from mmlab.plan.about import describe_target
from mmlab.plan.registry import BUILTINS, Registry

COMPONENTS = {
    ("encoder", "grid"),
    ("fusion", "product"),
    ("loss", "hinge"),
    ("dataset", "shapes"),
    ("metric", "margin"),
}


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


def test_a_line_says_what_each_component_is() -> None:
    lines = call("plugins", "list").stdout.splitlines()
    components = ask("plugins", "list")["components"]
    assert len(lines) == len(components) + len({c["kind"] for c in components})
    assert max(map(len, lines)) <= 80
    for component in components:
        name, about = component["name"], component["about"]
        assert about, component
        assert any(line.startswith(f"  {name} ") and about[:29] in line for line in lines), name
    assert "  constant      The same rate throughout: lr." in lines


def test_what_is_said_of_components_is_the_first_line_of_their_docstrings() -> None:
    registry = Registry.discover(BUILTINS)
    for entry in registry.entries("fusion") + registry.entries("schedule"):
        said = inspect.getdoc(registry.resolve(entry.kind, entry.name))
        assert said is not None
        assert describe_target(entry.target) == said.splitlines()[0]


@pytest.mark.parametrize(
    "target", ["no_such_package.x:Y", "mmlab.metric:Nothing", "mmlab.metric:SHARE", "math:sin"]
)
def test_nothing_is_said_where_the_source_does_not(target: str) -> None:
    assert describe_target(target) == ""


@pytest.mark.parametrize("name", ["zero_shot", "gating", "transformer", "adamw", "manifest"])
def test_a_component_is_shown_in_80_columns(name: str) -> None:
    shown = call("plugins", "show", name).stdout
    assert max(map(len, shown.splitlines())) <= 80
    options = ask("plugins", "show", name)["options"]["properties"]
    assert [option for option in options if f" {option} " not in shown] == []


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
