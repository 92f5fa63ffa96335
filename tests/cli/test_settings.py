"""A project's settings: where they are found, what wins over them, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmlab.cli import main
from mmlab.cli.settings import BELOW, named_in_environment, read_settings
from mmlab.store.catalogue import room_bytes


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings, seen from a folder inside it."""
    (tmp_path / "mmlab.toml").write_text('db = "kept/results.db"\n')
    (tmp_path / "kept").mkdir()
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    monkeypatch.delenv("MMLAB_DB", raising=False)
    return tmp_path


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_the_database_of_a_project_is_used_from_every_folder_of_it(project: Path) -> None:
    assert call("db", "init").exit_code == 0
    assert (project / "kept" / "results.db").is_file()
    assert call("ls").exit_code == 0
    assert list((project / "inside").iterdir()) == []


def test_published_figures_go_into_the_database_of_a_project(project: Path) -> None:
    figures = (
        '{"dataset": "cifar10", "model": "ViT-B-32", "pretrained": "openai", '
        '"task": "zeroshot_classification", "metrics": {"acc1": 0.5}}'
    )
    (project / "inside" / "figures.json").write_text(figures)
    assert call("import", "clip-benchmark", "figures.json").exit_code == 0
    assert (project / "kept" / "results.db").is_file()
    assert call("export", "clip-benchmark").exit_code == 0
    assert [path.name for path in (project / "inside").iterdir()] == ["figures.json"]


def test_all_verbs_below_others_have_the_settings() -> None:
    found = {}
    for verb, command in main.commands.items():
        below = getattr(command, "commands", {})
        if any(param.name == "db" for each in below.values() for param in each.params):
            found[verb] = set(below)
    assert found == {verb: set(names) for verb, names in BELOW.items()}


def test_the_environment_wins_over_settings_and_the_command_line_over_both(project: Path) -> None:
    assert call("db", "init", MMLAB_DB="environment.db").exit_code == 0
    assert call("db", "init", "--db", "given.db", MMLAB_DB="environment.db").exit_code == 0
    made = {path.name for path in (project / "inside").iterdir()}
    assert {"environment.db", "given.db"} <= made
    assert not (project / "kept" / "results.db").exists()


def test_the_nearest_file_counts_and_a_pyproject_does_too(project: Path) -> None:
    (project / "inside" / "pyproject.toml").write_text('[tool.mmlab]\ndevice = "cpu"\n')
    assert read_settings(Path.cwd()) == {"device": "cpu"}
    (project / "inside" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert read_settings(Path.cwd()) == {"db": str(project / "kept" / "results.db")}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "databse = 'x'",
            (
                "databse",
                "is no setting",
                "cache, db, device, lease, report.thumbnails, runs",
                "remove the key",
            ),
        ),
        ("db = 3", ("db", "a setting is a text", "3", "remove the key")),
        ("db = ", ("mmlab.toml", "cannot be read", "TOML", "correct the file")),
        (
            "db = 'postgresql://me:secret@host/x'",
            ("db", "a password does not belong", "PGPASSWORD", "remove the password"),
        ),
    ],
)
def test_what_is_no_setting_is_refused(project: Path, text: str, parts: tuple[str, ...]) -> None:
    (project / "mmlab.toml").write_text(text)
    result = call("ls")
    assert result.exit_code == 2
    assert [part for part in parts if part not in result.stderr] == []
    assert "secret" not in result.output


@pytest.mark.parametrize(
    "text",
    [
        "db = 'postgresql://me:secret@secret@host/x'",
        "db = 'postgresql://me:sec/secret@host/x'",
        "db = 'postgresql://me:sec#secret@host/x'",
        "db = 'postgresql://me@host/x?sslpassword=secret'",
        "db = 'me:secret@host/x'",
        "db = 'host=localhost password=secret'",
        "db = ['postgresql://me:secret@host/x']",
        "database = 'postgresql://me:secret@host/x'",
        "password = 'secret'",
        "[db]\nkey = 'secret'",
    ],
)
def test_no_password_of_a_settings_file_is_shown(project: Path, text: str) -> None:
    (project / "mmlab.toml").write_text(text)
    result = call("ls")
    assert result.exit_code == 2
    assert str(project / "mmlab.toml") in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("ls", "postgresql://me:first@secret@host/x"), 2),
        (("postgresql://me:first@secret@host/x",), 2),
        (("validate", "postgresql://me:first@secret@host/x"), 3),
        (("ls", "--limit", "postgresql://me:secret@host/x"), 2),
        (("ls", "--db", "postgresql://me:first@secret@localhost:1/x"), 5),
        (("ls", "--db", "postgresql://me@localhost:1/x?password=secret&sslpassword=secret"), 5),
        (("run", "--db", "postgresql://me:first@secret@localhost:1/x", "--help"), 0),
        (("db", "init", "--db", "postgresql://me:first@secret@localhost:1/x"), 5),
        (("db", "init", "--db", "me:secret@localhost:1/x"), 5),
    ],
)
def test_no_password_of_a_command_line_is_shown(
    project: Path, arguments: tuple[str, ...], exit_code: int
) -> None:
    result = call(*arguments)
    assert result.exit_code == exit_code, result.output
    assert "secret" not in result.output
    if "--db" in arguments:
        url = arguments[arguments.index("--db") + 1]
        rest = [part for part in arguments if part not in ("--db", url)]
        result = call(*rest, MMLAB_DB=url)
        assert result.exit_code == exit_code, result.output
        assert "secret" not in result.output


@pytest.mark.parametrize(("given", "used"), [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_told_otherwise(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: str, used: str
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", given)
    if not given:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    call("ls")
    assert os.environ["OMP_WAIT_POLICY"] == used


def test_help_needs_no_settings(project: Path) -> None:
    (project / "mmlab.toml").write_text("db = ")
    assert call("--help").exit_code == 0


def test_the_room_for_pictures_is_a_setting_for_the_time_of_a_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMLAB_THUMBNAILS", raising=False)
    text = 'db = "kept/results.db"\n[report]\nthumbnails = "9 kB"\n'
    (project / "mmlab.toml").write_text(text)
    settings = read_settings(Path.cwd())
    assert settings["report.thumbnails"] == "9 kB"
    with named_in_environment(settings):
        assert room_bytes() == 9000
    assert "MMLAB_THUMBNAILS" not in os.environ
    monkeypatch.setenv("MMLAB_THUMBNAILS", "1 kB")
    with named_in_environment(settings):
        assert room_bytes() == 1000
    assert os.environ["MMLAB_THUMBNAILS"] == "1 kB"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[report]\nthumbnail = "1 kB"', "report.thumbnail: is no setting"),
        ("[report]\nthumbnails = 5", "report.thumbnails: a setting is a text"),
        ("report = 5", "report: is no setting"),
    ],
)
def test_a_wrong_setting_of_reports_is_refused(project: Path, text: str, says: str) -> None:
    (project / "mmlab.toml").write_text(text)
    done = call("ls")
    assert done.exit_code == 2
    assert says in done.stderr
