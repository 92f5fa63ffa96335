"""Bad input of every kind, through the command: what is said, and that nothing is stored half."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.bad_components import CASES as COMPONENTS
from support.bad_data import CASES as DATA
from support.bad_data import DATASET
from support.bad_databases import CASES as DATABASES
from support.bad_databases import COMMANDS, DAMAGED
from support.bad_files import CASES as FILES
from support.bad_fusions import CASES as FUSIONS
from support.bad_inputs import (
    NOTES,
    SPEC,
    Case,
    Says,
    call,
    check_child,
    check_files,
    check_message,
    check_parts,
    check_rows,
    content,
    offer,
    read_only,
    run_in_a_child,
)
from support.bad_options import CASES as OPTIONS
from support.bad_specs import CASES as SPECS
from support.hostile import ODD_LABELS
from support.store_values import dump, results_of
from support.strange import install

CASES = [*FILES, *SPECS, *FUSIONS, *DATA, *COMPONENTS, *OPTIONS, *DATABASES]
TRAIN = '[[losses]]\nuse = "cross_entropy"\n\n[train]\nepochs = 2\nbatch_size = 3\n\n'
#: A spec that evaluates only, so that the database alone needs space.
UNTRAINED = (
    (TRAIN, ""),
    ('[head]\nuse = "linear"\n\n', ""),
    ('use = "product"', 'use = "inner_product"'),
    ('use = "classification"', 'use = "retrieval"'),
    ("width = 32", 'width = 32\nvocabulary = "bytes"'),
)
FEW_PAGES = 40_960
CANARY = "CANARY-p@ss/w%rd"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with plugins installed of which one is hostile and one broken."""
    install(monkeypatch, tmp_path / "site")
    offer(tmp_path / "site", "hostile", "support.hostile")
    offer(tmp_path / "site", "broken", "no_such_module")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("MMLAB_DB", "MMLAB_RUNS"):
        monkeypatch.delenv(name, raising=False)
    return work


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_named_and_nothing_is_stored_half(case: Case, results: Path) -> None:
    case.write(results)
    before, files = results_of("mmlab.db"), content(results)
    check_message(case, call(*case.arguments))
    check_rows(case, before, results_of("mmlab.db"))
    check_files(case, files, content(results))


@pytest.mark.parametrize("case", DAMAGED, ids=lambda case: case.name)
def test_a_damaged_database_is_named_and_left_alone(case: Case, results: Path) -> None:
    case.write(results)
    before = Path("mmlab.db").read_bytes()
    check_message(case, call(*case.arguments))
    assert Path("mmlab.db").read_bytes() == before


def test_no_two_cases_have_one_name() -> None:
    cases = [*CASES, *DAMAGED]
    assert len({case.name for case in cases}) == len(cases) > 100


# --- what is odd and works --------------------------------------------------------------------


def write_spec(*edits: tuple[str, str]) -> None:
    Case("", 0, Says("", "", "", "", ""), edits).write(Path.cwd())


def test_odd_labels_are_stored_and_shown_exactly(results: Path) -> None:
    write_spec(
        (DATASET, 'use = "planted"\nfault = "odd_labels"'),
        ('use = "grid"\npixels = 8\ncells = 2\ndim = 4', 'use = "wide"'),
    )
    assert call("run", "spec.toml", "--device", "cpu").exit_code == 0
    stored = {cell for row in dump("mmlab.db")["labels"] for cell in row}
    assert stored >= set(ODD_LABELS)
    shown = json.loads(call("show", "@last", "--sample", "n1", "--json").stdout)["cards"][0]
    assert {label for bar in shown["bars"] for label in bar["labels"]} == set(ODD_LABELS)
    card = call("show", "@last", "--sample", "n1").stdout
    assert ODD_LABELS[0] in card
    assert ODD_LABELS[1] in card
    assert call("report", "--out", "report.html").exit_code == 0
    assert "<b>HTML</b>" not in Path("report.html").read_text()


def test_a_failed_cell_is_told_in_json_too(results: Path) -> None:
    write_spec((DATASET, 'use = "planted"\nfault = "empty"'))
    result = call("run", "spec.toml", "--device", "cpu", "--json")
    assert result.exit_code == 1
    (outcome,) = json.loads(result.stdout)["outcomes"]
    assert outcome["status"] == "failed"
    assert "the train split is empty" in outcome["error"]


def test_the_other_cells_go_on_after_one_that_failed(results: Path) -> None:
    write_spec(
        ('use = "cross_entropy"', 'use = "broken"\nstep = 1000'),
        ("[head]", '[sweep.axes]\n"losses.0.step" = [1000, 2, 2000]\n\n[head]'),
    )
    result = call("run", "spec.toml", "--device", "cpu", "--json")
    outcomes = json.loads(result.stdout)["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == ["done", "failed", "done"]
    assert result.exit_code == 1


def test_the_log_keeps_the_whole_traceback(results: Path) -> None:
    write_spec(('use = "cross_entropy"', 'use = "broken"\nfault = "raises"'))
    assert "Traceback" not in call("run", "spec.toml", "--device", "cpu").output
    assert "Traceback" in call("show", "@last", "--log").stdout


# --- Postgres ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_wrong_password_is_never_shown(verb: str, postgres_url: str, results: Path) -> None:
    url = make_url(postgres_url).set(password=CANARY).render_as_string(hide_password=False)
    says = Says(
        "postgresql://", "cannot be used", "password", "can be reached", "user and password"
    )
    if call("ls", "--db", url).exit_code == 0:
        pytest.skip("the given server asks for no password")
    before = dump(postgres_url)
    check_message(Case(verb, 5, says, arguments=COMMANDS[verb]), call(*COMMANDS[verb], "--db", url))
    assert dump(postgres_url) == before


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_server_that_is_not_there_is_named(verb: str, results: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"postgresql://me:CANARY@127.0.0.1:{port}/mmlab"
    place = f"postgresql://me@127.0.0.1:{port}/mmlab: "
    says = Says(place, "cannot be used", "refused", "can be reached", "start the server")
    check_message(Case(verb, 5, says, arguments=COMMANDS[verb]), call(*COMMANDS[verb], "--db", url))


# --- places that cannot be written, and full ones -----------------------------------------------


@pytest.mark.slow
def test_a_read_only_database_is_named(results: Path) -> None:
    before = dump("mmlab.db")
    says = Says("sqlite:////", "cannot be used", "readonly", "written", "writable for this user")
    with read_only(results / "mmlab.db", results):
        done = run_in_a_child("run", "spec.toml", "--rerun", "--runs", str(results.parent))
    check_child(says, 5, done)
    assert dump("mmlab.db") == before


@pytest.mark.slow
def test_a_folder_of_weights_that_is_read_only_is_named(results: Path) -> None:
    before = dump("mmlab.db")
    says = Says("mmlab-runs", "cannot be kept there", "is not writable", "may write", "--runs")
    with read_only(results / "mmlab-runs"):
        done = run_in_a_child("run", "spec.toml", "--rerun", "--runs", "mmlab-runs/new")
    check_child(says, 2, done)
    assert dump("mmlab.db") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("run", "spec.toml", "--set", "train.lr=nan"), 3),
        (("ls", "--db", "missing.db"), 5),
        (("show", "nothing"), 2),
    ],
    ids=lambda value: str(value),
)
def test_a_process_ends_with_the_code_and_says_it_to_stderr(
    arguments: tuple[str, ...], exit_code: int, results: Path
) -> None:
    done = run_in_a_child(*arguments)
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_full_disk_keeps_no_half_of_the_weights(results: Path) -> None:
    before, files = results_of("mmlab.db"), content(results)
    room = Path("mmlab.db").stat().st_size + 400_000
    write_spec(("width = 32", "width = 512"))
    done = run_in_a_child("run", "spec.toml", "--device", "cpu", file_bytes=room)
    assert done.returncode == 1, done.stderr
    case = Case("", 1, Says("", "", "", "", ""), leaves="a failed run")
    check_rows(case, before, results_of("mmlab.db"))
    assert "the checkpoint cannot be written" in done.stderr
    assert all(part in done.stderr for part in ("found: File too large", "allowed: ", "next: free"))
    files["spec.toml"] = Path("spec.toml").read_bytes()
    left = content(results)
    assert files.items() <= left.items()
    assert all(name.startswith("mmlab-cache/") for name in left.keys() - files.keys())


@pytest.mark.slow
def test_a_full_disk_leaves_the_database_without_half_a_result(results: Path) -> None:
    before = results_of("mmlab.db")
    write_spec(*UNTRAINED)
    done = run_in_a_child("run", "spec.toml", "--device", "cpu", file_bytes=FEW_PAGES)
    check_child(Says("sqlite:////", "cannot be used", "", "written", "free some"), 5, done)
    after = results_of("mmlab.db")
    assert {name for name in after if after[name] != before[name]} <= NOTES


def test_output_that_finds_no_space_is_named(results: Path) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no device that is always full")
    with full.open("w") as stdout:
        done = run_in_a_child("ls", "--json", stdout=stdout)
    assert done.returncode == 1, done.stderr
    check_parts(Says("the output", "cannot be written", "No space", "space", "free"), done.stderr)


def test_an_encoding_without_emoji_gets_escapes(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_in_a_child("show", "@last", "--sample", "🦜")
    assert done.returncode == 2, done.stderr
    assert "U0001f99c" in done.stderr


def test_a_file_name_in_an_error_does_not_steer_the_terminal(results: Path) -> None:
    write_spec((DATASET, 'use = "manifest"\npath = "\\u001b[31mred.csv"'))
    result = call("run", "spec.toml", "--device", "cpu")
    assert "red.csv" in result.stderr
    assert "\x1b" not in result.stderr
