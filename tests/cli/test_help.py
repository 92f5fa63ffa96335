"""Help, typos and what starting up costs."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mmlab.cli import COMMANDS, main

HEAVY = {"alembic", "numpy", "polars", "pydantic", "rich", "scipy", "sqlalchemy", "torch"}


def commands() -> list[tuple[str, ...]]:
    """Every verb, and every verb of a group."""
    found: list[tuple[str, ...]] = [()]
    for verb in COMMANDS:
        command = main.commands[verb]
        found.append((verb,))
        found += [(verb, name) for name in getattr(command, "commands", {})]
    assert len(found) > len(COMMANDS), "groups have verbs of their own"
    return found


@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_help_imports_nothing_heavy(verb: str) -> None:
    script = (
        "import sys; from mmlab.cli import main; main(sys.argv[1:], standalone_mode=False);"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, *filter(None, [verb]), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("verbs", commands())
def test_every_command_explains_itself(verbs: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*verbs, "--help"])
    assert result.exit_code == 0
    is_group = "COMMAND [ARGS]" in result.stdout
    assert is_group or re.search(r"Examples?:\n +mmlab " + " ".join(verbs), result.stdout)


def test_help_shows_no_line_wider_than_80_columns() -> None:
    for verbs in commands():
        text = CliRunner().invoke(main, [*verbs, "--help"], terminal_width=80).stdout
        assert max(map(len, text.splitlines())) <= 80, verbs


def test_list_is_another_word_for_ls() -> None:
    context = click.Context(main)
    assert main.get_command(context, "list") is main.get_command(context, "ls")


def test_a_mistyped_verb_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(main, ["rnu"])
    assert result.exit_code == 2
    assert "run" in result.stderr.split("rnu")[1]


def test_a_mistyped_option_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(main, ["run", "--dryrun", "x.toml"])
    assert result.exit_code == 2
    assert "--dry-run" in result.stderr


def test_the_version_is_said() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout.startswith("mmlab, version ")


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "mmlab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mmlab, version ")
