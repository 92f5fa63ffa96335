"""Cells in child processes: one that crashes, hangs or misbehaves costs itself and no other."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.lab import ENCODERS, TOY, Lab, child_environment, install

from mmlab.errors import RunError
from mmlab.runner.child import ChildProcess, _Child

SEEDS = "[sweep]\nseeds = [0, 1, 2]\n"


def wild(lab: Lab, word: str, step: int, *more: str, encoders: str = ENCODERS) -> Path:
    """A spec of this name, whose loss does something to its process from a step on."""
    script = lab.folder / f"{word}.script"
    script.write_text(f"{step} {word}")
    return lab.write(
        word, (TOY[0], encoders, TOY[2], f'{TOY[3]}script = "{script}"\n', *TOY[4:]), *more
    )


def steps(lab: Lab, word: str) -> int:
    """How many steps the loss of a wild spec has seen."""
    log = lab.folder / f"{word}.script.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def results(lab: Lab) -> list[tuple[int, object]]:
    """Every metric of every run, by seed."""
    with lab.store() as store:
        details = [store.run_detail(row.run_id) for row in store.runs(status="done")]
    return sorted(
        (detail.run.seed, sorted(evaluation.metrics.items()))
        for detail in details
        for evaluation in detail.evaluations
    )


def test_a_child_gives_what_this_process_gives(lab: Lab) -> None:
    spec = lab.write("toy", TOY, SEEDS)
    assert lab.statuses(spec, in_process=False) == ["done"] * 3
    there = results(lab)
    assert lab.statuses(spec, rerun=True) == ["done"] * 3
    assert results(lab) == sorted([*there, *there])


#: What the loss does, and how that is recorded.
DEATHS = {
    "leave": "exit code 0",
    "leave_with_3": "exit code 3",
    "segfault": "signal 11 (SIGSEGV)",
    "abort": "signal 6 (SIGABRT)",
    "kill": "signal 9 (SIGKILL)",
    "interrupt": "interrupted from within",
    "terminate": "interrupted from within",
}


@pytest.mark.slow
def test_a_cell_whose_process_dies_is_recorded_and_the_others_run(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    specs = [*(wild(lab, word, 2) for word in DEATHS), lab.write("tame")]
    outcomes = lab.run(specs, in_process=False, max_attempts=2)
    assert [outcome.status for outcome in outcomes] == ["failed"] * len(DEATHS) + ["done"]
    for word, signature in DEATHS.items():
        detail = lab.detail(word)
        assert (detail.run.status, detail.artifacts) == ("failed", [])
        assert "died in the same way 2 times in a row" in str(detail.run.error)
        assert [attempt.outcome for attempt in detail.attempts] == ["died"] * 2
        assert all(signature in str(attempt.message) for attempt in detail.attempts)


#: What lacks memory, a GPU that is lost, how that is recorded, and what is found.
LACKS = {
    "device": ("device", "found: CUDA error: device-side assert triggered"),
    "eat": ("oom", "batch_size 8; tried to allocate 34,359,738,368 bytes"),
    "eat_bytes": ("oom", "batch_size 8; MemoryError"),
}


@pytest.mark.slow
def test_a_lost_gpu_and_memory_that_is_not_there_cost_one_cell_each(sqlite_lab: Lab) -> None:
    """Each process may have 16 GiB of addresses, and two cells ask for 32."""
    lab = sqlite_lab
    with command(lab, "run", *(wild(lab, word, 2) for word in LACKS), lab.write("tame")) as process:
        resource.prlimit(process.pid, resource.RLIMIT_AS, (1 << 34, 1 << 34))
        _, said = process.communicate(timeout=120)
    assert (process.returncode, "1 done, 3 failed" in said) == (1, True), said
    for word, (outcome, found) in LACKS.items():
        (attempt,) = lab.detail(word).attempts
        assert (attempt.outcome, f"{found}\n" in str(attempt.message)) == (outcome, True)
    # The process whose device was lost has executed nothing more.
    assert "other than it was: the device: CUDA error: device-side assert triggered" in said
    assert lab.detail("tame").run.status == "done"


def test_an_error_that_no_pipe_takes_as_it_is_is_kept_escaped(sqlite_lab: Lab) -> None:
    """Python gives names of files that are no UTF-8 as halves of surrogate pairs, in errors too."""
    lab = sqlite_lab
    outcomes = lab.run([wild(lab, "unstorable", 2), lab.write("tame")], in_process=False)
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    detail = lab.detail("unstorable")
    assert detail.run.status == "failed"
    assert r"found: \x00 and half of a pair: \ud83d" in str(detail.run.error)
    (attempt,) = detail.attempts
    assert r"half of a pair: \ud83d" in str(attempt.traceback)


def test_a_cell_that_hangs_is_ended_in_time(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    outcomes = lab.run(
        [wild(lab, "hang", 2), lab.write("tame")],
        in_process=False,
        cell_timeout=4,
        max_attempts=1,
    )
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    (attempt,) = lab.detail("hang").attempts
    assert attempt.outcome == "timeout"
    assert "nothing heard of it for 4 s" in str(attempt.message)


@pytest.mark.slow
def test_a_template_that_is_killed_costs_one_cell(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    specs = [wild(lab, "kill_parent", 2), lab.write("tame")]
    outcomes = lab.run(specs, in_process=False, max_attempts=1)
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "from which those that execute cells are forked" in str(outcomes[0].error)


@pytest.mark.slow
def test_so_does_a_child_that_dies_before_it_is_ready(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, killed = ChildProcess._ask, list[str]()

    def ask_and_kill(self: ChildProcess, child: _Child, name: str, *values: object) -> object:
        if name == "begin" and not killed:
            killed.append(name)
            child.kill()
        return ask(self, child, name, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(ChildProcess, "_ask", ask_and_kill)
    specs = [sqlite_lab.write("first"), sqlite_lab.write("second")]
    outcomes = sqlite_lab.run(specs, in_process=False, max_attempts=1)
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]


def test_a_template_that_is_killed_while_it_begins_is_told(sqlite_lab: Lab) -> None:
    with ChildProcess("cpu") as child:
        child._template._process.kill()
        with pytest.raises(RunError, match=r"it is gone\n  found: signal 9 \(SIGKILL\)"):
            child.prepare([sqlite_lab.write("toy")], (), sqlite_lab.shown)


#: A template that is to fork, and whose parent has gone before it can say that it has.
DESERTED = """
import os, socket
from mmlab.runner.template import Template
ours, theirs = socket.socketpair()
socket.send_fds(ours, [b"f"], [os.open(os.devnull, os.O_RDWR)])
ours.close()
Template(theirs, lambda connection: None).run()
"""


def test_a_template_that_nobody_listens_to_ends_without_a_word() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DESERTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


#: What the loss leaves behind, and how that is told.
LEFT = {
    "double": "the default dtype was torch.float32 and is torch.float64",
    "no_grad": "whether gradients are recorded was True and is False",
    "move": "the working directory was",
    "variable": "the environment: LEFT_BY",
    "handler": "signal handlers: SIGALRM",
    "path": "sys.path was",
    "close_output": "whether standard output is open was True and is False",
}


@pytest.mark.slow
def test_what_a_component_leaves_behind_is_told_and_changes_no_other_cell(
    sqlite_lab: Lab,
) -> None:
    lab, last = sqlite_lab, 6  # so that it fails nothing itself
    specs = [wild(lab, word, last) for word in LEFT]
    tame = [lab.write(f"tame-{word}") for word in LEFT]
    lab.run([one for pair in zip(specs, tame, strict=True) for one in pair], in_process=False)
    for told in LEFT.values():
        said = [note for note in lab.shown.notes if told in note]
        assert len(said) == 1, told
    metrics = [lab.detail(path.stem).evaluations[0].metrics for path in tame]
    assert metrics == metrics[:1] * len(LEFT)


def test_a_component_that_forks_and_returns_does_not_run_the_cell_twice(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    assert lab.statuses([wild(lab, "fork", 6), lab.write("tame")], in_process=False) == ["done"] * 2
    assert [attempt.outcome for attempt in lab.detail("fork").attempts] == ["ok"]
    assert lab.row_counts()["runs"] == 2


def test_the_process_that_claims_never_imports_torch(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    code = (
        "import sys; from mmlab.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(spec), "--db", sqlite_lab.db, "--device", "cpu"],
        env={**child_environment(), "MMLAB_IN_PROCESS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert sqlite_lab.detail("toy").run.status == "done"


@contextmanager
def command(lab: Lab, verb: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command of mmlab in a process of its own, which executes cells in children."""
    words = [sys.executable, "-m", "mmlab", verb, *map(str, arguments), "--db", lab.db]
    process = subprocess.Popen(
        [*words, "--device", "cpu", "--lease", "2"],
        env={**child_environment(), "MMLAB_IN_PROCESS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.05)


def descendants(process: int) -> list[int]:
    """All that a process has started, and that these have, as far as they live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == process and state != "Z":
            found += [int(path.parent.name), *descendants(int(path.parent.name))]
    return found


def are_gone(processes: list[int]) -> bool:
    """Whether none of these lives."""
    return not any(Path(f"/proc/{process}").exists() for process in processes)


SLOW = "train.epochs=200"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 75)])
def test_a_signal_ends_the_step_writes_a_checkpoint_and_queues_the_run(
    sqlite_lab: Lab, number: int, code: int
) -> None:
    lab = sqlite_lab
    spec = wild(lab, "sleep", 1, "[sweep]\nseeds = [0, 1]\n")
    with command(lab, "run", spec, "--set", SLOW) as process:
        wait_until(lambda: steps(lab, "sleep") >= 3)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "2 of its cells are left in the queue" in said
    detail = lab.detail("sleep")
    assert (detail.run.status, detail.attempts[0].outcome) == ("queued", "interrupted")
    assert list(lab.runs.glob("*/checkpoints/step-*"))


@pytest.mark.slow
def test_a_plugin_that_ends_every_process_that_asks_it_is_told(
    sqlite_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path / "leaving", "leaving")
    with command(sqlite_lab, "run", sqlite_lab.write("toy")) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the process that reads the specs: it died\n  found: exit code 3" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_at_once_and_nothing_behind(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    spec = wild(lab, "hang", 2)
    with command(lab, "run", spec) as process:
        wait_until(lambda: steps(lab, "hang") >= 2)
        theirs = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None  # the step has not ended
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert lab.detail("hang").run.status == "queued"
    assert theirs
    assert are_gone(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_outlives_a_command_that_is_killed(sqlite_lab: Lab, workers: int) -> None:
    lab = sqlite_lab
    spec = wild(lab, "sleep", 1, encoders=ENCODERS.replace("toy", "shaky"))  # which keeps no inputs
    options = ("--set", SLOW, "--set", f"train.workers={workers}")
    with command(lab, "run", spec, *options) as process:
        wait_until(lambda: steps(lab, "sleep") >= 3)
        theirs = descendants(process.pid)
        assert len(theirs) == 2 + workers
        process.kill()
    wait_until(lambda: are_gone(theirs), 20)
    assert lab.detail("sleep").run.status == "running"


@pytest.mark.slow
def test_a_queue_is_worked_off_without_any_spec_file(sqlite_lab: Lab, tmp_path: Path) -> None:
    lab = sqlite_lab
    spec = wild(lab, "sleep", 1, SEEDS)
    with command(lab, "run", spec) as process:
        wait_until(lambda: steps(lab, "sleep") >= 3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    spec.with_suffix(".script").write_text("")
    spec.unlink()
    with command(lab, "work") as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "3 done" in said
    with lab.store() as store:
        assert [row.status for row in store.runs()] == ["done"] * 3
