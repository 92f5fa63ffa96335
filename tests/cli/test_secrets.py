"""A password of a database is in no output, file, log or list of processes, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url
from support.secret_addresses import CANARY, REFUSED, UNREACHABLE
from support.store_values import dump

import mmlab
from mmlab.cli import COMMANDS, main
from mmlab.cli.secrets import Redacting, kept_secret, print_unexpected

SPEC = """\
schema_version = 1
name = "n"

[dataset]
use = "emoji"

[encoders.image]
use = "convnet"
width = 8

[encoders.text]
use = "transformer"
width = 16
length = 8

[fusion]
use = "inner_product"
dim = 8

[[losses]]
use = "info_nce"

[train]
epochs = 1
batch_size = 512
workers = 2

[[evaluate]]
use = "retrieval"
"""
#: Every command with `--db`.
VERBS = {
    "run": ("run", "spec.toml", "--device", "cpu"),
    "work": ("work", "--device", "cpu"),
    "retry": ("retry", "@last"),
    "cancel": ("cancel", "@last"),
    "sync": ("sync",),
    "db runs": ("db", "runs", "folder"),
    "evaluate": ("evaluate", "@last", "spec.toml", "--device", "cpu"),
    "rank": ("rank", "@last", "picture.png", "--labels", "a,b", "--device", "cpu"),
    "ls": ("ls",),
    "ls --json": ("ls", "--json"),
    "show": ("show", "@last"),
    "show --json": ("show", "@last", "--json"),
    "report": ("report",),
    "report --out": ("report", "--out", "report.html"),
    "report --json": ("report", "--json"),
    "compare": ("compare", "one", "other"),
    "import": ("import", "clip-benchmark", "figures.json"),
    "import remove": ("import", "remove", "open-clip"),
    "export": ("export", "clip-benchmark"),
    "gc": ("gc",),
    "db init": ("db", "init"),
    "db upgrade": ("db", "upgrade"),
    "db current": ("db", "current"),
    "db grants": ("db", "grants", "analyst"),
}
FIGURES = (
    '{"dataset": "cifar10", "model": "ViT-B-32", "pretrained": "openai", '
    '"task": "zeroshot_classification", "metrics": {"acc1": 0.5}}'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMLAB_DB", raising=False)
    (tmp_path / "spec.toml").write_text(SPEC)
    (tmp_path / "figures.json").write_text(FIGURES)
    return tmp_path


def by_option(verb: str, url: str, folder: Path) -> Result:
    return CliRunner().invoke(main, [*VERBS[verb], f"--db={url}"])


def by_variable(verb: str, url: str, folder: Path) -> Result:
    return CliRunner().invoke(main, VERBS[verb], env={"MMLAB_DB": url})


def by_settings(verb: str, url: str, folder: Path) -> Result:
    text = url.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    (folder / "mmlab.toml").write_text(f'db = "{text}"\n')
    try:
        return CliRunner().invoke(main, VERBS[verb])
    finally:
        (folder / "mmlab.toml").unlink()


GIVEN = (by_option, by_variable, by_settings)


def check(result: Result, url: str) -> None:
    """The command ended in words, and what the world sees of it is silent about the password."""
    assert result.exit_code in (2, 5), (url, result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert all(part in result.stderr for part in ("found: ", "allowed: ", "next: ")), result.stderr
    assert CANARY not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_no_command_shows_the_password_of_an_address(verb: str, folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    addresses = [*REFUSED, *UNREACHABLE]
    if verb in ("run", "evaluate"):  # which read the spec each time
        addresses = addresses[::4]
    for number, url in enumerate(addresses):
        given = GIVEN[(number + len(verb)) % len(GIVEN)] if verb != "ls" else None
        for give in GIVEN if given is None else (given,):
            check(give(verb, url, folder), url)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_every_command_that_takes_a_database_is_among_them() -> None:
    takes_one = set()
    for verb in COMMANDS:
        command = main.commands[verb]
        for each in (command, *getattr(command, "commands", {}).values()):
            if any(option.name == "db" for option in each.params):
                takes_one.add(verb)
    assert takes_one == {arguments[0] for arguments in VERBS.values()}


@pytest.mark.parametrize("url", [*REFUSED, *UNREACHABLE])
def test_no_exception_of_the_interface_for_python_holds_it(url: str, folder: Path) -> None:
    text = "(none)"
    try:
        mmlab.results(url)
    except mmlab.errors.MmlabError as error:
        text = "".join(traceback.format_exception(error))
    assert text != "(none)"
    assert CANARY not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls", f"postgresql://me:{CANARY}@host/db"),
        ("ls", f"me:{CANARY}@host/db"),
        (f"me:{CANARY}@host/db",),
        ("ls", f"host=h passwd={CANARY}"),
        ("run", f"me:{CANARY}@host/db"),
        ("ls", "--db", f"me:{CANARY}\udcff@host/db"),
    ],
)
def test_a_misplaced_address_is_not_repeated(arguments: tuple[str, ...], folder: Path) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (1, 2, 3)
    assert CANARY not in result.output


@pytest.mark.parametrize("key", ["model", "pretrained", "dataset"])
def test_published_figures_with_a_secret_are_refused_and_nothing_is_stored(
    key: str, folder: Path
) -> None:
    figures = json.loads(FIGURES) | {key: f"https://me:{CANARY}@host/weights.pt"}
    (folder / "figures.json").write_text(json.dumps(figures))
    result = CliRunner().invoke(main, ["import", "clip-benchmark", "figures.json"])
    assert result.exit_code == 1
    assert "without password, token and key" in result.stderr
    assert CANARY not in result.output
    assert not (folder / "mmlab.db").exists()


def test_the_variable_is_in_no_help(folder: Path) -> None:
    for verb in ("ls", "run"):
        url = f"postgresql://me:{CANARY}@host/db"
        result = CliRunner().invoke(main, [verb, "--help"], env={"MMLAB_DB": url})
        assert "MMLAB_DB" in result.output
        assert CANARY not in result.output


def test_a_defect_is_printed_without_the_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://me:{CANARY}@host/db"
    monkeypatch.setattr(sys, "argv", ["mmlab", "ls", f"--db={url}"])
    for said in (url, f"there is {CANARY} in it", f"{{'password': 1}} password='{CANARY}'"):
        error = RuntimeError(said)
        print_unexpected(RuntimeError, error, None)
        shown = capsys.readouterr().err
        assert "RuntimeError: " in shown
        assert CANARY not in shown


def test_a_log_is_written_without_the_password() -> None:
    record = logging.LogRecord("a", 1, "b", 1, "at %s", (f"postgres://me:{CANARY}@host/db",), None)
    assert Redacting("%(name)s: %(message)s").format(record) == "a: at postgres://me:***@host/db"


def test_the_variable_is_taken_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://me:{CANARY}@host/db"
    monkeypatch.setenv("MMLAB_DB", url)
    with kept_secret([]) as given:
        assert given == url
        assert "MMLAB_DB" not in os.environ
        child = subprocess.run(["env"], capture_output=True, text=True, check=True)
        assert CANARY not in child.stdout
    assert os.environ["MMLAB_DB"] == url
    monkeypatch.setenv("MMLAB_DB", "results.db")
    with kept_secret([]) as given:
        assert given is None
        assert os.environ["MMLAB_DB"] == "results.db"


# --- the list of processes --------------------------------------------------------------------


def run_process(
    arguments: list[str], watch: Callable[[int], None], **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, watched by its number until it ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, "-m", "mmlab", *arguments]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        watcher = threading.Thread(target=watch, args=(process.pid,))
        watcher.start()
        out, err = process.communicate(timeout=120)
        watcher.join()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def seen(pid: int) -> str:
    """What the system shows of a process; nothing once it has gone."""
    try:
        parts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    except OSError:
        return ""
    return b" ".join(parts).replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes in /proc")
def test_the_list_of_processes_shows_stars(folder: Path, silent_server: socket.socket) -> None:
    port = silent_server.getsockname()[1]
    found = []

    def watch(pid: int) -> None:
        connection, _ = silent_server.accept()
        found.append(seen(pid))
        connection.close()

    given = f"postgresql://me:{CANARY}@127.0.0.1:{port}/db?sslmode=disable"
    done = run_process(["ls", "--db", given], watch, MMLAB_DB=f"postgresql://me:{CANARY}@other/db")
    assert done.returncode == 5
    assert CANARY not in found[0] + done.stdout + done.stderr
    assert "--db ****" in found[0]
    assert "MMLAB_DB=****" in found[0]


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = {int(number) for number in path.read_text().split()}
        except OSError:
            continue
        found |= children.union(*map(descendants, children))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes in /proc")
def test_a_run_leaves_the_password_nowhere(folder: Path, postgres_url: str) -> None:
    password = str(make_url(postgres_url).password)
    children: dict[int, str] = {}

    def watch(pid: int) -> None:
        while seen(pid):
            children.update(
                {child: seen(child) or children.get(child, "") for child in descendants(pid)}
            )
            time.sleep(0.05)

    done = run_process(["run", "spec.toml", "--device", "cpu", "-vv"], watch, MMLAB_DB=postgres_url)
    assert done.returncode == 0, done.stderr
    assert children
    said = [done.stdout, done.stderr, *children.values(), str(dump(postgres_url))]
    page = CliRunner().invoke(
        main, ["report", "--out", "page.html"], env={"MMLAB_DB": postgres_url}
    )
    shown = CliRunner().invoke(main, ["show", "@last", "--json"], env={"MMLAB_DB": postgres_url})
    assert page.exit_code == shown.exit_code == 0
    said += [page.output, shown.output]
    assert not any(password in text for text in said)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert not any(password.encode() in path.read_bytes() for path in files)
