"""What torchrun sets in the environment, and what a person may have set there instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mmlab.cli import main
from mmlab.errors import UsageError
from mmlab.train import torchrun

#: As torchrun sets them.
GROUP = {"WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": "29511"}


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)
    assert (torchrun.world_size(), torchrun.rank(), torchrun.local_rank()) == (1, 0, 0)


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {**GROUP, "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(variable, value)
    assert (torchrun.world_size(), torchrun.rank(), torchrun.local_rank()) == (4, 3, 1)


@pytest.mark.parametrize("value", ["two", "", "-1", "1.5", "0x2", "²"])
@pytest.mark.parametrize("variable", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
def test_anything_else_is_told(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    asked = {"WORLD_SIZE": torchrun.world_size, "RANK": torchrun.rank}
    with pytest.raises(UsageError, match=f"(?s){variable}: .*allowed: .*next: start with torchrun"):
        asked.get(variable, torchrun.local_rank)()


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("RANK", "4", "0 to 3"),
        ("RANK", "", "a value"),
        ("MASTER_ADDR", "", "a value"),
        ("MASTER_PORT", "", "a value"),
        ("MASTER_PORT", "port", "a whole number"),
    ],
)
def test_a_group_that_cannot_be_made_is_told(
    variable: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, one in {**GROUP, variable: value}.items():
        monkeypatch.setenv(name, one)
    with pytest.raises(UsageError, match=f"(?s)^{variable}: .*allowed: {allowed}"):
        torchrun.world_size()


def test_no_group_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "0")
    with pytest.raises(UsageError, match="a whole number from 1"):
        torchrun.world_size()


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "RANK"])
def test_mmlab_run_says_so_in_words(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "many")
    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    ended = CliRunner().invoke(main, ["run", "first.toml"])
    assert ended.exit_code == 2, ended.output
    assert f"{variable}: this variable" in ended.output
    assert "Traceback" not in ended.output


def test_a_rank_without_a_group_silences_no_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "1")
    ended = CliRunner().invoke(main, ["run", "nowhere.toml"])
    assert ended.exit_code != 0
    assert "nowhere.toml" in ended.output
