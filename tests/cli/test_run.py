"""From a spec to a report through the command itself, with a stranger's components."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from support.store_values import results_of
from support.strange import SPEC, install

from mmlab.cli import main
from mmlab.cli.output import db_option
from mmlab.cli.run import conclude, db_argument
from mmlab.runner.coordinator import Outcome

QUICK = ("--set", "train.epochs=1", "--device", "cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, beside an installed stranger."""
    install(monkeypatch, tmp_path / "site")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("MMLAB_DB", raising=False)
    monkeypatch.delenv("MMLAB_RUNS", raising=False)
    return work


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def ask(*arguments: str | Path) -> Any:  # Any: a JSON document
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def statuses(result: Result) -> list[str]:
    return [outcome["status"] for outcome in json.loads(result.stdout)["outcomes"]]


@pytest.mark.slow
def test_a_second_run_does_nothing() -> None:
    first = call("run", SPEC, *QUICK, "--json")
    assert first.exit_code == 0, first.output
    assert statuses(first) == ["done"]
    before = results_of("mmlab.db")
    second = call("run", SPEC, *QUICK, "--json")
    assert second.exit_code == 0, second.output
    assert statuses(second) == ["skipped"]
    assert results_of("mmlab.db") == before


@pytest.mark.slow
def test_run_prints_the_leaderboard_and_names_the_stranger_in_the_provenance() -> None:
    result = call("run", SPEC, *QUICK)
    assert result.exit_code == 0, result.output
    assert "stranger-shapes" in result.stdout
    assert "mmlab report" in result.stderr
    assert "stranger-mmlab" in call("show", "@last", "--env").stdout


@pytest.mark.slow
def test_run_ends_with_a_command_that_can_be_pasted(folder: Path) -> None:
    assert call("run", SPEC, *QUICK).output.endswith(
        "a page to hand on: mmlab report --out report.html\n1 done\n"
    )
    result = call("run", SPEC, *QUICK, "--db", "my results.db")
    line = next(line for line in result.output.splitlines() if "a page to hand on: " in line)
    command = shlex.split(line.removeprefix("a page to hand on: mmlab "))
    assert command == ["report", "--out", "report.html", "--db", "my results.db"]
    assert call(*command).exit_code == 0
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("db", "printed"),
    [
        ("results.db", " --db results.db"),
        ("postgresql://me:secret@host:1/results", " --db postgresql://me@host:1/results"),
        ("postgresql://host/r?password=secret&sslmode=a", " --db 'postgresql://host/r?sslmode=a'"),
    ],
)
def test_the_command_that_is_printed_holds_no_password(db: str, printed: str) -> None:
    found: list[str] = []

    @click.command()
    @db_option
    def ask_database(db: str) -> None:
        found.append(db_argument(db))

    CliRunner().invoke(ask_database, ["--db", db])
    CliRunner().invoke(ask_database, [], env={"MMLAB_DB": db})
    assert found == [printed, ""]


@pytest.mark.slow
def test_rerun_repeats_what_is_done() -> None:
    for arguments in ((), ("--rerun",)):
        assert statuses(call("run", SPEC, *QUICK, "--json", *arguments)) == ["done"]
    assert len(ask("ls")["runs"]) == 2


@pytest.mark.slow
def test_a_failed_run_is_kept_and_gives_1() -> None:
    result = call("run", SPEC, *QUICK, "--set", "train.lr=1e30", "--set", "train.epochs=3")
    assert result.exit_code == 1, result.output
    assert "not finite" in result.stderr
    assert "Traceback" not in result.output
    (run,) = ask("ls")["runs"]
    assert run["status"] == "failed"
    assert "not finite" in call("show", run["run_id"]).stdout


@pytest.mark.slow
def test_sigterm_puts_the_run_back_into_the_queue(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mmlab", "run", str(SPEC), "--set", "train.epochs=100000"]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=-1) as process:
        try:
            _wait_for_a_running_run(process)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 75, said.decode()
    assert b"Traceback" not in said
    assert [run["status"] for run in ask("ls")["runs"]] == ["queued"]


def _wait_for_a_running_run(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        result = call("ls", "--json")
        runs = json.loads(result.stdout)["runs"] if result.exit_code == 0 else []
        if "running" in [run["status"] for run in runs]:  # its cell is so before there is a run
            return
        time.sleep(0.2)
    pytest.fail("no run began")


def test_a_dry_run_shows_cells_and_plugins_and_makes_nothing(folder: Path) -> None:
    result = call("run", SPEC, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "stranger-mmlab" in result.stdout
    assert "3.1.4" in result.stdout
    (cell,) = ask("run", SPEC, "--dry-run")["cells"]
    assert cell["experiment"] == "stranger-shapes"
    assert cell["spec"]["losses"] == [{"use": "hinge", "weight": 1.0, "margin": 1.0}]
    assert list(folder.iterdir()) == []


def test_an_unknown_device_is_a_usage_error() -> None:
    result = call("run", SPEC, "--device", "banana")
    assert result.exit_code == 2
    assert "banana" in result.stderr
    assert "allowed" in result.stderr


def test_validate_accepts_what_is_valid(folder: Path) -> None:
    result = call("validate", SPEC)
    assert result.exit_code == 0, result.output
    assert "valid, 1 cell" in result.stderr
    assert list(folder.iterdir()) == []


def test_validate_names_the_faults_of_all_files(folder: Path) -> None:
    text = SPEC.read_text()
    (folder / "one.toml").write_text(text.replace("epochs = 4", "epohcs = 4"))
    (folder / "two.toml").write_text(text.replace('use = "grid"', 'use = "gird"'))
    result = call("validate", "one.toml", "two.toml")
    assert result.exit_code == 3
    assert "one.toml:26:1" in result.stderr
    assert "two.toml:9:" in result.stderr
    assert "epochs" in result.stderr
    assert "grid" in result.stderr


def test_a_missing_spec_is_named(folder: Path) -> None:
    result = call("run", "missing.toml")
    assert result.exit_code in (2, 3)
    assert "missing.toml" in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_component_is_a_plugin_error() -> None:
    result = call("validate", SPEC, "--set", "fusion.use=prodcut")
    assert result.exit_code == 4, result.output
    assert "product" in result.stderr


@pytest.mark.parametrize(
    ("verb", "option", "value"),
    [
        *(("run", "--priority", str(number)) for number in (10**20, -(10**20), 2**31)),
        *(
            (verb, option, value)
            for verb, option in (
                ("run", "--lease"),
                ("work", "--lease"),
                ("run", "--cell-timeout"),
                ("work", "--idle-exit"),
            )
            for value in ("9" * 20 + "h", "8761h", "0", "-1", "1e5", "nan", "forever")
        ),
        ("run", "--group-timeout", "1e300"),
    ],
)
def test_numbers_that_no_database_and_no_timer_hold_are_refused(
    folder: Path, verb: str, option: str, value: str
) -> None:
    specs = ["nowhere.toml"] if verb == "run" else []
    result = call(verb, *specs, option, value, "--db", "new.db")
    assert result.exit_code == 2, result.output
    assert f"Invalid value for '{option}'" in result.stderr
    assert not (folder / "new.db").exists()


def test_a_worker_that_found_nothing_says_one_line(folder: Path) -> None:
    assert call("db", "init", "--db", "new.db").exit_code == 0
    result = call("work", "--db", "new.db")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "nothing was queued that this worker could execute\n"


def test_why_cells_are_left_is_told_also_where_others_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocked = Outcome("blocked", "second", "", error="it starts from first")
    outcomes = [Outcome("failed", "first", "", error="not finite"), blocked]
    with click.Context(main), pytest.raises(click.exceptions.Exit) as ended:
        conclude(outcomes, "new.db", as_json=False)
    assert ended.value.exit_code == 1
    assert "it starts from first\n" in capsys.readouterr().err
