"""Runs that are stopped amid their training and taken up again, and all that they leave."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, update
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from mmlab.model.model import Step
from mmlab.records import Progress
from mmlab.runner.runner import run_specs
from mmlab.spec import Override
from mmlab.store.address import parse_address
from mmlab.store.tables import queue, runs
from support.lab import Lab, Shown, here

#: What may differ between two runs of one cell: when, by whom, how fast, at which attempt.
OTHER = {"attempts", "runs", "specs", "cells", "queue", "properties", "mmlab_alembic_version"}


@dataclass
class Stopping(Shown):
    """Stops the process, as Ctrl-C does, when training has come so far."""

    at: int = 0

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        if progress.step >= self.at:
            raise KeyboardInterrupt


def twin(lab: Lab, name: str) -> Lab:
    """Another lab in a folder of its own, with a database that is as new as this one's."""
    folder = lab.folder / name
    folder.mkdir()
    path = Path(shutil.copy(lab.folder / "mmlab.db", folder / "mmlab.db"))
    return Lab(folder, f"sqlite:///{path}")


def stop(lab: Lab, spec: Path, step: int, *overrides: Override, **options: object) -> None:
    """Run a spec until training has come so far."""
    given = here(lab.db, *overrides, **options)
    display = Stopping(at=step)
    with pytest.raises(KeyboardInterrupt):
        run_specs([spec], given, display)
    lab.shown.notes += display.notes


def left(lab: Lab) -> dict[str, Sequence[object]]:
    """Every row of results, with nothing that says when and how fast; files by their sha256."""
    detail = lab.detail("@last")
    run_id = detail.run.run_id
    rows = {
        name: [
            tuple(
                str(x).replace(run_id, "RUN") for x in row if not isinstance(x, datetime.datetime)
            )
            for row in found
            if "train/samples_per_second" not in row
        ]
        for name, found in lab.dump().items()
        if name not in OTHER
    }
    timeless = {"seconds", "samples_per_second", "peak_memory_bytes", "evaluation_seconds"}
    summary = {key: x for key, x in detail.summary.items() if key not in timeless}
    return {**rows, "summary": sorted(summary.items())}


@contextmanager
def stopped_amid(steps: int, error: type[BaseException]) -> Iterator[None]:
    """Raise an error amid the training step that comes after so many whole ones of this process.

    The step's forward pass is done by then: whatever it changes and draws has changed.
    """
    whole = 0

    def count(module: nn.Module, *passed: object) -> None:
        nonlocal whole
        if isinstance(module, Step) and module.training:
            whole += 1
            if whole > steps:
                raise error("amid a step")

    hook = register_module_forward_hook(count)
    try:
        yield
    finally:
        hook.remove()


def wait_for(
    condition: Callable[[], object], processes: Sequence[subprocess.Popen[str]] = ()
) -> None:
    """Wait until it holds; it must come while all processes live."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        assert all(process.poll() is None for process in processes), "a process has ended"
        time.sleep(0.01)


def expire_leases(db: str) -> None:
    """Let all that killed processes held be free."""
    engine = create_engine(parse_address(db).url)
    with engine.begin() as connection:
        past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
        for table in (runs, queue):
            held = table.c.lease_until.is_not(None)
            connection.execute(update(table).where(held).values(lease_until=past))
    engine.dispose()
