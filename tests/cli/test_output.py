"""Streams, colour, JSON and exit codes, which hold for every verb."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click
import pytest
from click.testing import CliRunner

from mmlab.cli import Verbs
from mmlab.cli.output import color_option, console, print_json, say, table, verbosity_options
from mmlab.errors import DataError, MmlabError, PluginError, SpecError, StoreError, UsageError

ESCAPE = "\x1b["


@click.group(cls=Verbs)
@color_option
@verbosity_options
def program() -> None:
    """A program with the verb under test."""


@program.command()
@click.argument("what")
@color_option
@verbosity_options
def act(what: str) -> None:
    """Do what the test wants."""
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "break":
        raise ZeroDivisionError("a defect")
    if what in ERRORS:
        raise ERRORS[what]("place: fault")
    console().print(table(["name"], [["[red]not markup[/red]\x1b[31m"]]), style="bold")
    say("a remark")


ERRORS: Mapping[str, type[MmlabError]] = {
    "spec": SpecError,
    "plugin": PluginError,
    "store": StoreError,
    "data": DataError,
    "usage": UsageError,
}
CODES = {"spec": 3, "plugin": 4, "store": 5, "data": 1, "usage": 2}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "MMLAB_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("what", "code"), CODES.items())
def test_an_expected_error_is_words_and_a_code(what: str, code: int) -> None:
    result = CliRunner().invoke(program, ["act", what])
    assert result.exit_code == code
    assert result.stderr == "error: place: fault\n"
    assert result.stdout == ""


def test_a_defect_keeps_its_traceback() -> None:
    result = CliRunner().invoke(program, ["act", "break"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interruption_ends_with_130() -> None:
    result = CliRunner().invoke(program, ["act", "interrupt"])
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def test_data_goes_to_stdout_and_remarks_to_stderr() -> None:
    result = CliRunner().invoke(program, ["act", "print"])
    assert "[red]not markup[/red]\\x1b[31m" in result.stdout
    assert result.stderr == "a remark\n"


def test_a_process_without_a_stdout_says_nothing_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    console().print("for nobody")


@pytest.mark.parametrize("arguments", [["-q", "act", "print"], ["act", "-q", "print"]])
def test_quiet_silences_remarks_but_not_data(arguments: list[str]) -> None:
    result = CliRunner().invoke(program, arguments)
    assert result.stderr == ""
    assert "not markup" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "is_colored"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"MMLAB_COLOR": "always"}, True),
    ],
)
@pytest.mark.parametrize("is_after_the_verb", [False, True])
def test_one_switch_decides_on_colour(
    arguments: list[str],
    environment: dict[str, str],
    is_colored: bool,
    is_after_the_verb: bool,
) -> None:
    line = ["act", *arguments, "print"] if is_after_the_verb else [*arguments, "act", "print"]
    result = CliRunner().invoke(program, line, env=environment, color=True)
    assert (ESCAPE in result.stdout) == is_colored


def test_json_is_strict_and_versioned(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(values=[1.5, float("nan"), float("inf")], names={"🦜": None}, flag=True)
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document == {
        "schema_version": 1,
        "values": [1.5, None, None],
        "names": {"🦜": None},
        "flag": True,
    }
