"""The same cells executed by one worker whom nobody disturbs."""

from __future__ import annotations

from pathlib import Path

from mmlab.runner.runner import RunOptions, begin
from mmlab.runner.stopping import Stop
from mmlab.runner.worker import Worker, WorkOptions
from mmlab.store import open_store
from mmlab.store.migrate import upgrade
from support.chaos.cells import later_submissions, submissions
from support.chaos.executor import Silent, TorchFree


def run_undisturbed(folder: Path, seeds: int, later: int) -> str:
    """A SQLite database with all these cells done; its address."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'mmlab.db'}"
    upgrade(url)
    executor = TorchFree()
    with open_store(url) as store, Stop(executor.ask_to_stop, executor.kill) as stop:
        runs = begin(executor, store, RunOptions(url, folder / "runs"), Silent())
        store.submit_cells([*submissions(0, seeds), *later_submissions(later)])
        Worker(store, runs, executor, Silent(), WorkOptions(), stop).work()
    return url
