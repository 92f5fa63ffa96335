"""The verbs that read and make databases: ls, show, report, db."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.report_values import asked, record, record_fusion
from support.store_values import claimed, dump, finish, identity

from mmlab.cli import main
from mmlab.evaluate.metrics import METRICS
from mmlab.metric import under
from mmlab.store import open_store

CONDITIONED = under("{condition}", METRICS)


def call(db: str | Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--db", str(db)])


def ask(db: str | Path, *arguments: str) -> Any:  # Any: a JSON document
    result = call(db, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema_version"] == 1
    return document


@pytest.fixture
def results(sqlite_url: str) -> str:
    """A database with two done runs and a failed one."""
    with open_store(sqlite_url) as store:
        finish(store, claimed(store, "one", 0))
        finish(store, claimed(store, "one", 1))
        store.fail(claimed(store, "two", 0), "error", "place: fault", "Traceback: line 1")
    return sqlite_url


def test_ls_shows_the_newest_runs_first(results: str) -> None:
    runs = ask(results, "ls")["runs"]
    assert [run["status"] for run in runs].count("done") == 2
    created = [datetime.fromisoformat(run["created_at"]) for run in runs]
    assert all(moment.tzinfo for moment in created)
    assert "T" in runs[0]["created_at"]
    assert created == sorted(created, reverse=True)
    assert all(run["run_id"][:12] in call(results, "list").stdout for run in runs)


def test_ls_folds_neither_ids_nor_dates_in_80_columns(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with open_store(sqlite_url) as store:
        finish(store, claimed(store, "a-name-that-is-far-longer-than-its-column", 0))
    (run,) = ask(sqlite_url, "ls")["runs"]
    started = datetime.fromisoformat(run["started_at"]).strftime("%Y-%m-%d %H:%MZ")
    (line,) = [it for it in call(sqlite_url, "ls").stdout.splitlines() if "done" in it]
    assert line.split()[0] == run["run_id"][:12]
    assert started in line
    assert len(line) <= 80
    assert " experiment " in call(sqlite_url, "ls").stdout
    assert call(sqlite_url, "show", line.split()[0]).exit_code == 0


def test_ls_filters_and_limits(results: str) -> None:
    assert len(ask(results, "ls", "--limit", "1")["runs"]) == 1
    assert len(ask(results, "ls", "--status", "failed")["runs"]) == 1
    assert ask(results, "ls", "--experiment", "unknown")["runs"] == []


def test_an_interrupted_run_is_shown_as_that_and_stays_queued(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        store.submit(identity("waits"))
    assert " queued " in call(sqlite_url, "ls").stdout
    with open_store(sqlite_url) as store:
        store.release(claimed(store, "waits", 0), "interrupted")
    (run,) = ask(sqlite_url, "ls", "--status", "queued")["runs"]
    assert run["status"] == "queued"
    assert " interrupted " in call(sqlite_url, "ls").stdout
    assert "status  interrupted: run its spec again\n" in call(sqlite_url, "show", "@last").stdout


def test_show_takes_an_id_its_start_an_experiment_and_last(results: str) -> None:
    run = ask(results, "ls", "--status", "done")["runs"][0]["run_id"]
    for name in (run, run[:12]):
        assert ask(results, "show", name)["run"]["run"]["run_id"] == run
    assert ask(results, "show", "@last")["run"] == ask(results, "show", "emoji")["run"]


def test_show_prints_metrics_spec_and_origin(results: str) -> None:
    run = ask(results, "ls", "--status", "done")["runs"][0]["run_id"]
    shown = call(results, "show", run).stdout
    assert "top1" in shown
    assert "not defined" in shown
    assert call(results, "show", run, "--spec").stdout.startswith('name = "emoji"')
    assert json.loads(call(results, "show", run, "--env").stdout) == {"git": None}


def test_show_prints_metrics_as_they_are_declared(results: str) -> None:
    run = ask(results, "ls", "--status", "done")["runs"][0]["run_id"]
    lines = call(results, "show", run).stdout.splitlines()
    names = [line.split()[0] for line in lines if line.split()]
    assert names[names.index("top1") :] == ["top1", "top5", "down", "nan", "up"]


def test_conditions_of_other_metrics_share_a_table_and_keep_their_columns(sqlite_url: str) -> None:
    given = [{"top1": 0.25}, {"top5": 0.5, "ece": 0.125}, {"top1": 0.75, "ece": 1.0}, {"top5": 0.0}]
    asked_four = [
        replace(asked([], metrics=metrics, condition=f"c{n}"), declared=CONDITIONED)
        for n, metrics in enumerate(given)
    ]
    with open_store(sqlite_url) as store:
        record(store, *asked_four)
    lines = [line.split() for line in call(sqlite_url, "show", "@last").stdout.splitlines()]
    assert ["condition", "top1", "top5", "ece"] in lines
    rows = {line[0]: line[1:] for line in lines if line and line[0] in ("c0", "c2")}
    assert rows == {"c0": ["0.2500"], "c2": ["0.7500", "1.0000"]}


def test_show_says_what_the_command_line_set_and_the_budget(results: str) -> None:
    run = ask(results, "ls", "--status", "done")["runs"][0]["run_id"]
    lines = [line.strip() for line in call(results, "show", run).stdout.splitlines()]
    assert 'set  more.toml, meta.who="🦜"' in lines
    assert "budget  900 parameters" in lines
    assert ask(results, "show", run)["run"]["cell"]["position"] == 2


def test_show_tells_why_a_run_failed(results: str) -> None:
    run = ask(results, "ls", "--status", "failed")["runs"][0]["run_id"]
    assert "place: fault" in call(results, "show", run).stdout
    assert "Traceback: line 1" in call(results, "show", run, "--log").stdout


def test_show_draws_the_card_of_a_sample(results: str) -> None:
    run = ask(results, "ls", "--status", "done")["runs"][0]["run_id"]
    assert "Ranked 1 out of 7 labels" in call(results, "show", run, "--sample", "a").stdout
    assert ask(results, "show", run, "--sample", "a")["cards"][0]["rank"] == 1


@pytest.mark.parametrize("arguments", [["nothing"], ["emoji", "--sample", "nothing"]])
def test_show_of_something_unknown_is_a_usage_error(results: str, arguments: list[str]) -> None:
    result = call(results, "show", *arguments)
    assert result.exit_code == 2
    assert "next:" in result.stderr


def test_report_prints_a_leaderboard(results: str) -> None:
    result = call(results, "report")
    assert result.exit_code == 0, result.output
    assert "emoji" in result.stdout
    assert "top1" in result.stdout


def test_a_narrow_terminal_shows_fewer_metrics_and_every_name(results: str) -> None:
    narrow = CliRunner().invoke(main, ["report", "--db", results], env={"COLUMNS": "60"}).stdout
    wide = CliRunner().invoke(main, ["report", "--db", results], env={"COLUMNS": "200"}).stdout
    assert "gating" in narrow
    assert "top1" in narrow
    assert "nan" in wide
    assert max(map(len, narrow.splitlines())) <= 60


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.csv", "report.parquet"])
def test_report_writes_the_format_of_the_file(results: str, tmp_path: Path, name: str) -> None:
    result = call(results, "report", "--out", str(tmp_path / name))
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).stat().st_size > 0


def test_report_of_an_experiment_takes_all_its_runs(results: str) -> None:
    everything = ask(results, "report")["leaderboard"]
    assert ask(results, "report", "emoji")["leaderboard"] == everything
    assert {row["seeds"] for row in everything} == {2}


def test_report_prints_text_formats(results: str) -> None:
    assert call(results, "report", "--format", "md").stdout.startswith("###")
    assert call(results, "report", "--format", "csv").stdout.startswith("experiment,")
    assert call(results, "report", "--format", "parquet").exit_code == 2


READING = [("ls",), ("show", "@last"), ("report",), ("db", "current")]


@pytest.mark.parametrize("arguments", READING)
def test_reading_never_makes_a_database(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = call(tmp_path / "missing.db", *arguments)
    assert result.exit_code == 5, result.output
    assert "next:" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", READING)
def test_reading_changes_nothing(results: str, arguments: tuple[str, ...]) -> None:
    before = dump(results)
    assert call(results, *arguments).exit_code == 0
    assert dump(results) == before


def test_db_init_makes_what_current_then_finds(tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    assert call(db, "db", "init").exit_code == 0
    current = ask(db, "db", "current")
    assert current["is_current"]
    assert current["revision"] == current["head"]
    again = call(db, "db", "upgrade")
    assert again.exit_code == 0
    assert "already" in again.stderr


def test_the_environment_names_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMLAB_DB", str(tmp_path / "named.db"))
    assert CliRunner().invoke(main, ["db", "init"]).exit_code == 0
    assert (tmp_path / "named.db").is_file()


def test_a_pipe_gets_every_column_of_a_wide_board_in_one_line(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {f"a_metric_of_a_rather_long_name_{place}": 0.5 for place in range(9)}
    with open_store(sqlite_url) as store:
        record(store, asked([], metrics=metrics))
    (header,) = [line for line in _lines(sqlite_url) if line.startswith("#")]
    assert header.split() == ["#", "experiment", *metrics, "time", "seeds"]
    monkeypatch.setenv("COLUMNS", "80")
    headers = [line for line in _lines(sqlite_url) if line.startswith("#")]
    assert max(map(len, headers)) <= 80
    assert [name for line in headers for name in line.split()[2:]] == [*metrics, "time", "seeds"]


def _lines(db: str) -> list[str]:
    return call(db, "report").stdout.splitlines()


def test_one_table_is_shown_where_it_is_named(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        for inputs, hits in ((["image"], 0.0), (["image", "text"], 1.0)):
            record_fusion(store, "concat", inputs, asked([hits] * 4))
    every, one = call(sqlite_url, "report"), call(sqlite_url, "report", "--table", "fusion_gain")
    assert "\nclassification · test" in f"\n{every.stdout}"
    assert one.stdout.startswith("fusion gain · ")
    assert "\nclassification · test" not in one.stdout
    for form in ("md", "json"):
        one = call(sqlite_url, "report", "--table", "leaderboard", "--format", form)
        assert "classification" in one.stdout
        assert "gain" not in one.stdout


@pytest.mark.parametrize(
    ("table", "reason"),
    [("fusion_gain", "of one of its inputs alone"), ("robustness", "missing_modality")],
)
def test_an_empty_table_says_why(results: str, tmp_path: Path, table: str, reason: str) -> None:
    out = tmp_path / "table.csv"
    for more in ([], ["--format", "csv"], ["--out", str(out)]):
        result = call(results, "report", "--table", table, *more)
        assert result.exit_code == 0
        assert f"{table} is empty: no " in result.stderr
        assert reason in result.stderr
    assert out.read_text().startswith("experiment,")


def test_a_run_that_was_asked_nothing_is_not_called_undone(sqlite_url: str) -> None:
    assert "no run is done yet: mmlab run SPEC..." in call(sqlite_url, "report").stderr
    with open_store(sqlite_url) as store:
        record(store)
        waiting = identity("waiting")
        store.submit(replace(waiting, cell=replace(waiting.cell, experiment="waiting")))
    for names in ([], ["emoji"]):
        result = call(sqlite_url, "report", *names)
        assert "no done run was asked anything: add [[evaluate]] to the spec" in result.stderr
        assert "is done yet" not in result.stderr
    assert "none of these runs is done yet" in call(sqlite_url, "report", "waiting").stderr


def test_a_page_cannot_hold_one_table_alone(results: str, tmp_path: Path) -> None:
    result = call(results, "report", "--table", "robustness", "--out", str(tmp_path / "a.html"))
    assert result.exit_code == 2
    assert "every table" in result.stderr
