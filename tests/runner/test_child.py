"""Cells in child processes: one that crashes, hangs or misbehaves costs itself and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lab import TOY, Lab

SEEDS = "[sweep]\nseeds = [0, 1, 2]\n"


def results(lab: Lab) -> list[tuple[str, object]]:
    """Every metric of every run, by seed."""
    with lab.store() as store:
        details = [store.run_detail(row.run_id) for row in store.runs(status="done")]
    return sorted(
        (f"{detail.run.seed}", dict(evaluation.metrics))
        for detail in details
        for evaluation in detail.evaluations
    )


def test_a_child_gives_what_this_process_gives(lab: Lab, tmp_path: Path) -> None:
    spec = lab.write("toy", TOY, SEEDS)
    assert lab.statuses(spec, in_process=False) == ["done"] * 3
    here = results(lab)
    assert lab.statuses(spec, rerun=True) == ["done"] * 3
    assert results(lab) == sorted([*here, *here])


@pytest.mark.parametrize(
    ("word", "signature"),
    [
        ("leave", "exit code 0"),
        ("leave_with_3", "exit code 3"),
        ("segfault", "signal 11 (SIGSEGV)"),
        ("abort", "signal 6 (SIGABRT)"),
        ("kill", "signal 9 (SIGKILL)"),
    ],
)
def test_a_cell_whose_process_dies_is_recorded_and_the_others_run(
    sqlite_lab: Lab, word: str, signature: str
) -> None:
    lab = sqlite_lab
    spec = lab.write("toy", TOY, SEEDS)
    bad = lab.write("bad")
    outcomes = lab.run([bad, spec], lab.script(f"2 {word}"), in_process=False)
    del outcomes
