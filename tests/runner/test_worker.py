"""Workers, with cells that need no torch: what they do with cells that others take from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.chaos.cells import NAMES, submissions
from support.chaos.executor import Silent, TorchFree

from mmlab.runner.coordinator import Coordinator, Ended
from mmlab.runner.runner import RunOptions, begin
from mmlab.runner.stopping import Stop
from mmlab.runner.worker import Worker, WorkOptions
from mmlab.store import QueuedCell, Store


class Disturbed(TorchFree):
    """An executor before whose first cell something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self.happens = happens

    def execute(self, queued: QueuedCell, coordinator: Coordinator) -> Ended:
        happens, self.happens = self.happens, bool
        happens()
        return super().execute(queued, coordinator)


def disturbed(store: Store, runs: Path, happens: Callable[[], object]) -> Worker:
    """A worker that has worked on whatever was queued."""
    executor = Disturbed(happens)
    folder = begin(executor, store, RunOptions("", runs), Silent())
    with Stop(executor.ask_to_stop, executor.kill) as stop:
        worker = Worker(store, folder, executor, Silent(), WorkOptions(), stop)
        worker.work()
    return worker


def test_a_cell_that_is_lost_before_it_is_a_run_costs_no_other(
    store: Store, tmp_path: Path
) -> None:
    first, second, *_ = store.submit_cells(submissions(0, 2))
    worker = disturbed(store, tmp_path, lambda: store.cancel([NAMES[0]]))
    states = store.cell_states([first, second])
    assert [states[first].status, states[second].status] == ["cancelled", "done"]
    assert worker.unfinished[first].status == "held"
    assert "cancelled" in (worker.unfinished[first].error or "")
