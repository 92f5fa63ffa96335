"""Signals that stop a command: which they are, what the first and the second do, and the end."""

from __future__ import annotations

import os
import signal

import pytest

from mmlab.errors import StoppedError
from mmlab.runner.stopping import Stop, raised_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_gently_the_second_at_once_and_more_do_nothing(number: int) -> None:
    said = list[str]()
    before = signal.getsignal(number)
    with Stop(lambda: said.append("gently"), lambda: said.append("at once")) as stop:
        assert not stop.is_asked
        for _ in range(4):
            os.kill(os.getpid(), number)
        assert (stop.is_asked, stop.is_urgent, stop.number) == (True, True, number)
    assert said == ["gently", "at once"]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_decides_how_the_command_ends(number: int) -> None:
    with Stop(lambda: None, lambda: None) as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
    notes = list[str]()
    ends = KeyboardInterrupt if number == signal.SIGINT else StoppedError
    with pytest.raises(ends) as caught:
        stop.raise_if_asked("; 2 are left", notes.append)
    said = notes if number == signal.SIGINT else [str(caught.value)]
    name = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    assert said == [f"stopped{name}; 2 are left"]


def test_nobody_asked() -> None:
    with Stop(lambda: None, lambda: None) as stop:
        stop.wait(0)
    stop.raise_if_asked("", print)


def test_what_is_ignored_stays_ignored() -> None:
    """nohup lets a command go on when its terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop(lambda: None, lambda: None) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_asked
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS[1:])
def test_what_stops_a_command_before_any_cell_begins_lets_it_be_gone_on_with(number: int) -> None:
    before = signal.getsignal(number)
    by = f"by {signal.Signals(number).name}"
    with pytest.raises(StoppedError, match=by) as caught, raised_signals():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == 75
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_so_before_any_cell_begins() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
