"""Bad input of every kind, through the command: what is said, and that nothing is stored half."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from bad_data import CASES as DATA
from bad_inputs import SPEC, Case, check_parts
from bad_specs import CASES as SPECS
from click.testing import CliRunner, Result
from store_values import dump
from strange import install

from mmlab.cli import main

CASES = [*SPECS, *DATA]

#: Where a run that failed is noted; nothing else may have new rows.
NOTES = {"specs", "runs", "attempts", "metrics"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with plugins installed of which one is hostile and one broken."""
    install(monkeypatch, tmp_path / "site")
    offer(tmp_path / "site", "hostile", "hostile")
    offer(tmp_path / "site", "broken", "no_such_module")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("MMLAB_DB", "MMLAB_RUNS"):
        monkeypatch.delenv(name, raising=False)
    return work


def offer(site: Path, name: str, module: str) -> None:
    """Make a module look like an installed plugin."""
    home = site / f"{name}_mmlab-0.3.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-mmlab\nVersion: 0.3\n")
    (home / "entry_points.txt").write_text(f"[mmlab]\n{name} = {module}\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that holds a run, done by the command, and its weights."""
    made = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        install(patch, tmp_path_factory.mktemp("site"))
        patch.chdir(made)
        (made / "spec.toml").write_text(SPEC)
        assert call("run", "spec.toml", "--device", "cpu").exit_code == 0
    return made


@pytest.fixture
def results(finished: Path, folder: Path) -> Path:
    """The folder, with a copy of the finished run."""
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    return folder


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_named_and_nothing_is_stored_half(case: Case, results: Path) -> None:
    before, files = dump("mmlab.db"), weights(results)
    case.write(results)
    result = call(*case.arguments)
    assert result.exit_code == case.exit_code, result.output
    assert result.stdout == ""
    check_message(case, result.stderr)
    check_rows(case, before, dump("mmlab.db"))
    assert files.items() <= weights(results).items()


def check_message(case: Case, said: str) -> None:
    """All five parts are there, and no traceback."""
    assert "Traceback" not in said
    paragraph = said
    if case.arguments[0] == "run" and not said.startswith("error: "):
        paragraph = said.partition("failed")[2].partition("\n")[2]
    check_parts(case.says, paragraph)


def check_rows(
    case: Case, before: Mapping[str, list[object]], after: Mapping[str, list[object]]
) -> None:
    """Nothing was written, or no more than that and why one run failed."""
    if case.leaves == "nothing":
        assert after == before
        return
    new = {name: [row for row in rows if row not in before[name]] for name, rows in after.items()}
    assert all(row in after[name] for name, rows in before.items() for row in rows)
    assert {name for name, rows in new.items() if rows} <= NOTES
    assert len(new["runs"]) == len(new["attempts"]) == 1
    assert "failed" in new["runs"][0]


def weights(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.glob("mmlab-runs/*/*")}


def test_no_two_cases_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50
