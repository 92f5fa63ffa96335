"""`mmlab run` in two processes: one run in one database, the figures of one process, one voice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from support.lab import PAIRED, TOY, Lab
from support.processes import Ended, start, wait

MICROBATCH = "train.microbatch=4"
FSDP = 'train.parallel="fsdp"'


def command(spec: Path, *overrides: str) -> list[str | Path]:
    """Arguments of Python that run a spec."""
    settings = [part for override in overrides for part in ("--set", override)]
    return ["-m", "mmlab", "run", spec.name, "--device", "cpu", *settings]


def run(lab: Lab, spec: Path, *overrides: str, size: int = 2, **variables: str) -> list[Ended]:
    """Run a spec in several processes of one group."""
    given = [command(spec, *overrides)] * size
    return wait(start(given, lab.folder, MMLAB_DB=lab.db, **variables))


def metrics(lab: Lab, name: str) -> dict[str, float | None]:
    """The metrics of an experiment's newest run."""
    return dict(lab.detail(name).evaluations[0].metrics)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [[], [FSDP, MICROBATCH]])
def test_two_processes_record_one_run_with_the_figures_of_one(
    sqlite_lab: Lab, overrides: list[str]
) -> None:
    alone, spec = sqlite_lab.write("alone", PAIRED), sqlite_lab.write("together", PAIRED)
    expected = sqlite_lab.run_one(alone)
    first, second = run(sqlite_lab, spec, *overrides)
    assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert "1 done" in first.stderr
    found = sqlite_lab.detail("together")
    assert found.run.status == "done"
    assert {kept.role for kept in found.artifacts} == {"best", "final"}
    for role in ("best", "final"):
        one, two = (sqlite_lab.weights(detail, role) for detail in (expected, found))
        assert one.keys() == two.keys()
        assert all(one[name].allclose(two[name], rtol=0, atol=1e-5) for name in one)
    assert metrics(sqlite_lab, "together") == pytest.approx(metrics(sqlite_lab, "alone"), abs=1e-5)


@pytest.mark.slow
def test_nan_in_one_process_stops_both_and_the_next_cell_goes_on(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", TOY, "[sweep]\nseeds = [0, 1]\n")
    script = sqlite_lab.folder / "script"
    script.write_text("2 nan 1")
    first, second = run(sqlite_lab, spec, f'losses.0.script="{script}"')
    assert (first.code, second.code) == (1, 0), second.stderr
    assert "training step 2: the loss or its gradient is not finite" in first.stderr
    assert "2 failed" in first.stderr


@pytest.mark.slow
def test_an_error_in_one_process_ends_both_and_is_told(sqlite_lab: Lab) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.folder / "script"
    script.write_text("2 raise 1")
    setting = f'losses.0.script="{script}"'
    first, second = run(sqlite_lab, spec, setting, MMLAB_GROUP_TIMEOUT="10")
    assert (first.code, second.code) == (1, 1)
    assert "have come apart" in first.stderr
    assert sqlite_lab.detail("toy").run.status == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_other_within_the_timeout(
    sqlite_lab: Lab, rank: int
) -> None:
    spec, setting = sqlite_lab.write("toy"), sqlite_lab.script("1 sleep")
    given = [command(spec, setting, "train.epochs=1000")] * 2
    both = start(given, sqlite_lab.folder, MMLAB_DB=sqlite_lab.db, MMLAB_GROUP_TIMEOUT="10")
    while sqlite_lab.trained_steps < 4:
        time.sleep(0.05)
        assert [process.poll() for process in both] == [None, None]
    both[rank].send_signal(signal.SIGKILL)
    other = wait(both, 25)[1 - rank]
    assert other.code == 1
    assert "torchrun: the process of rank" in other.stderr
    assert "Traceback" not in other.stderr
