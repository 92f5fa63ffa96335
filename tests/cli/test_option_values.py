"""Values of options that mean nothing: no path is empty, and every number has its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.specs import SPEC

import mmlab
from mmlab.cli import COMMANDS, main
from mmlab.errors import StoreError, UsageError

NUMBERS = ("nan", "inf", "-inf", "1e400", "-1e400", "1" * 40, "9" * 5000, "-" + "9" * 40)


def parameters() -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of every verb, and of those below verbs."""
    for verb in COMMANDS:
        command = main.commands[verb]
        for each in (command, *getattr(command, "commands", {}).values()):
            yield from ((f"{verb} {each.name}", one) for one in each.params)


def is_number(kind: click.ParamType[object]) -> bool:
    return kind.name in ("integer", "float", "duration") or "range" in kind.name


def refuses(parameter: click.Parameter, text: str) -> bool:
    try:
        parameter.type.convert(text, parameter, None)
    except click.BadParameter as error:
        return bool(error.message)
    return False


def test_no_path_is_empty() -> None:
    found = [(verb, one) for verb, one in parameters() if isinstance(one.type, click.Path)]
    assert len({one.name for _, one in found}) > 5
    assert [(v, one.name) for v, one in found if not refuses(one, "")] == []
    assert [(v, one.name) for v, one in found if not refuses(one, "  ")] == []


def test_every_number_is_finite_and_has_its_bounds() -> None:
    found = [
        (verb, one)
        for verb, one in parameters()
        if is_number(one.type) and not getattr(one, "count", False)
    ]
    assert {"lease", "group_timeout", "priority", "top"} <= {one.name for _, one in found}
    wrong = [(v, one.name, t) for v, one in found for t in NUMBERS if not refuses(one, t)]
    assert wrong == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", "--db", ""),
        ("ls", "--db", "  "),
        ("sync", "--runs", ""),
        ("gc", "--cache", ""),
        ("report", "--out", ""),
        ("run", ""),
        ("run", "a.toml", "--set-file", ""),
        ("run", "a.toml", "--group-timeout", "nan"),
        ("work", "--lease", "inf"),
    ],
)
def test_it_is_said_and_nothing_is_made(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (2, 5), result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", ['runs = ""', 'cache = " "', 'db = ""', 'db = " "'])
def test_no_setting_is_empty(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mmlab.toml").write_text(f"{setting}\n")
    result = CliRunner().invoke(main, ("ls",))
    assert result.exit_code == 2
    assert "mmlab.toml" in result.stderr


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ("db", "init"), env={"MMLAB_DB": ""}).exit_code == 0
    assert [path.name for path in tmp_path.glob("*.db")] == ["mmlab.db"]


def test_python_refuses_what_is_empty_too(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMLAB_DB", sqlite_url)
    with pytest.raises(StoreError, match="results need a file"):
        mmlab.results("")
    with pytest.raises(StoreError, match="results need a file"):
        mmlab.load("@last", "")
    with pytest.raises(UsageError, match="runs: an empty text names no folder"):
        mmlab.load("@last", runs="")


@pytest.mark.parametrize("value", ["", "  "])
def test_no_path_in_a_spec_is_empty(value: str, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC.replace('"emoji"', f'"manifest"\npath = "{value}"'))
    result = CliRunner().invoke(main, ("validate", str(tmp_path / "spec.toml")))
    assert result.exit_code == 3
    assert "dataset.path: an empty text names no file and no folder" in result.stderr


def test_a_note_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(f'{SPEC}\n[meta]\nfile = ""\n')
    assert CliRunner().invoke(main, ("validate", str(tmp_path / "spec.toml"))).exit_code == 0
