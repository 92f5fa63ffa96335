"""What a person sees while a run goes on."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mmlab.cli.display import BarDisplay, PlainDisplay, QuietDisplay, describe_outcome, make_bar
from mmlab.records import Progress
from mmlab.runner.coordinator import Outcome

DONE = Outcome("done", "emoji", "seed=0", run_id="ab12", seconds=75.0)
FAILED = Outcome("failed", "emoji", "seed=1", run_id="cd34", error="place: fault")


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def at(step: int) -> Progress:
    return Progress(step, 100, 0.25, 512.4, float(100 - step), [])


def test_plain_lines_come_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = PlainDisplay(clock)
    display.started("emoji", "seed=0", 1, 3)
    for step in range(1, 26):
        clock.now = float(step)
        display.progress(at(step))
    display.finished(DONE)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "[1/3] emoji seed=0",
        "  step 10/100, loss 0.25, 512 samples/s, 1:30 left",
        "  step 20/100, loss 0.25, 512 samples/s, 1:20 left",
        "  trained and evaluated in 1:15 (run ab12)",
    ]


def test_the_bar_shows_step_loss_speed_and_time_left() -> None:
    screen = io.StringIO()
    with make_bar(Console(file=screen, force_terminal=True, width=160)) as bar:
        display = BarDisplay(bar)
        display.started("emoji", "[seed]", 2, 3)
        display.progress(at(50))
        bar.refresh()
        display.finished(DONE)
        display.note("[not markup]")
    text = screen.getvalue()
    assert "[2/3] emoji [seed]" in text
    assert "step 50/100, loss 0.25, 512 samples/s, 50 s left" in text
    assert "  trained and evaluated in 1:15 (run ab12)" in text
    assert "[not markup]" in text


def test_quiet_says_only_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    display = QuietDisplay()
    display.note("anything")
    display.started("emoji", "", 1, 1)
    display.progress(at(1))
    display.finished(DONE)
    assert capsys.readouterr().err == ""
    display.finished(FAILED)
    assert "place: fault" in capsys.readouterr().err


def test_a_failure_says_which_run_and_why() -> None:
    assert describe_outcome(FAILED) == "failed (run cd34)\nplace: fault"


def test_a_fault_that_cells_share_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainDisplay()
    for outcome in (FAILED, replace(FAILED, run_id="ef56"), replace(FAILED, error="another")):
        display.finished(outcome)
    assert capsys.readouterr().err.splitlines() == [
        "  failed (run cd34)",
        "place: fault",
        "  failed (run ef56)",
        "for the same reason, told above",
        "  failed (run cd34)",
        "another",
    ]
