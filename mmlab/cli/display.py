"""How `mmlab run` shows what goes on: a bar on a terminal, plain lines elsewhere, all to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import console, is_quiet
from mmlab.errors import harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from mmlab.records import Progress
    from mmlab.runner.coordinator import Display, Outcome


PLAIN_SECONDS = 10.0

WORDS = {
    "done": "trained and evaluated",
    "evaluated": "added evaluations",
    "skipped": "already done",
    "held": "another process is at it",
    "failed": "failed",
    "cancelled": "cancelled",
    "given back": "given back to the queue",
    "interrupted": "interrupted, and back in the queue",
    "died": "its process died; back in the queue",
}


@contextmanager
def make_display() -> Iterator[Display]:
    """The display that fits: silent with `-q`, a bar on a terminal, plain lines elsewhere."""
    if is_quiet():
        yield QuietDisplay()
    elif sys.stderr.isatty():
        with make_bar(console(err=True)) as bar:
            yield BarDisplay(bar)
    else:
        yield PlainDisplay()


class Told:
    """What became of cells, in which a fault that several share is written out once."""

    def __init__(self) -> None:
        self._errors: set[str] = set()

    def describe(self, outcome: Outcome) -> str:
        """As `describe_outcome`, but for an error that an earlier cell had word for word."""
        if outcome.error in self._errors:
            return describe_outcome(replace(outcome, error="for the same reason, told above"))
        if outcome.error is not None:
            self._errors.add(outcome.error)
        return describe_outcome(outcome)


class QuietDisplay:
    """Says only what failed."""

    def __init__(self) -> None:
        self._told = Told()

    def note(self, text: str) -> None:
        """Nothing."""

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        """Nothing."""

    def progress(self, progress: Progress) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        """The error of a cell that failed."""
        if outcome.status == "failed":
            click.echo(self._told.describe(outcome), err=True)


class PlainDisplay:
    """One line when a cell begins, about every ten seconds, and when it ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spoke = clock()
        self._told = Told()

    def note(self, text: str) -> None:
        """The text as a line."""
        click.echo(text, err=True)

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        """Which cell of how many."""
        self._spoke = self._clock()
        click.echo(describe_start(experiment, cell, position, total), err=True)

    def progress(self, progress: Progress) -> None:
        """Where training stands, unless that was said a moment ago."""
        now = self._clock()
        if now - self._spoke < PLAIN_SECONDS:
            return
        self._spoke = now
        left = duration(progress.seconds_left)
        click.echo(f"  {describe_progress(progress)}, {left} left", err=True)

    def finished(self, outcome: Outcome) -> None:
        """What became of the cell."""
        click.echo(f"  {self._told.describe(outcome)}", err=True)


class BarDisplay:
    """A progress bar for the cell at work, and lines for what began and ended."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._told = Told()

    def note(self, text: str) -> None:
        """The text as a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def started(self, experiment: str, cell: str, position: int, total: int) -> None:
        """Which cell of how many, and a new bar below."""
        self.note(describe_start(experiment, cell, position, total))
        self._task = self._bar.add_task("", total=None, state="preparing")

    def progress(self, progress: Progress) -> None:
        """Step, loss, samples/s and time left."""
        if self._task is None:
            return
        is_last = progress.step == progress.total_steps
        stands = "evaluating" if is_last else f"{duration(progress.seconds_left)} left"
        state = f"{describe_progress(progress)}, {stands}"
        self._bar.update(
            self._task, completed=progress.step, total=progress.total_steps, state=state
        )

    def finished(self, outcome: Outcome) -> None:
        """The bar gives way to a line."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = None
        self.note(f"  {self._told.describe(outcome)}")


def describe_start(experiment: str, cell: str, position: int, total: int) -> str:
    """Which cell of how many; of a queue nobody knows how many, and `total` is 0."""
    of = f"/{total}" if total else ""
    return f"[{position}{of}] {experiment} {cell}".rstrip()


def describe_progress(progress: Progress) -> str:
    """Step, loss and speed of one emission."""
    return (
        f"step {progress.step}/{progress.total_steps}, loss {progress.loss:.4g}, "
        f"{progress.samples_per_second:.0f} samples/s"
    )


def describe_outcome(outcome: Outcome) -> str:
    """One line on what became of a cell, and its error below if it failed."""
    line = WORDS[outcome.status]
    if outcome.status in ("done", "evaluated"):
        line += f" in {duration(outcome.seconds)}"
    if outcome.run_id:
        line += f" (run {outcome.run_id})"
    return line if outcome.error is None else f"{line}\n{harmless(outcome.error).rstrip()}"


def duration(seconds: float) -> str:
    """Seconds as `42 s`, `3:07` or `1:02:03`.

    >>> duration(3.21), duration(187), duration(3723)
    ('3.2 s', '3:07', '1:02:03')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def make_bar(out: Console) -> Bar:
    """A progress bar whose text is plain and which vanishes at the end."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[state]}", markup=False),
        console=out,
        transient=True,
    )
