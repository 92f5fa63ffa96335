"""A worker claims cells from the queue, has them executed, and goes on until nothing is left.

    submit -> claim -> execute -> record, and again

Of cells of its own it waits for those that others hold. It knows the database and no torch: cells
are executed by an `Executor`, which is a child process or, for debugging, this one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from mmlab.errors import RunError, StoreError
from mmlab.records import cell_name
from mmlab.runner.claimed import LEASE_SECONDS, StoreCoordinator
from mmlab.runner.coordinator import Died, Display, Ended, Executor, Outcome
from mmlab.runner.runs_folder import RunsFolder
from mmlab.runner.stopping import Stop
from mmlab.store import CellClaim, CellState, LeaseLost, Store, StoreAway

#: A worker that finds nothing looks again after this long.
POLL_SECONDS = 0.5
#: A cell whose run another process has is tried again after this long.
REST_SECONDS = 2.0
#: Who asks twice to stop waits no longer than this for a database that is away.
_AT_ONCE = 2.0


@dataclass(frozen=True)
class WorkOptions:
    """How a worker works.

    `idle_seconds`: it ends when there was nothing to do for so long; None: never. `waits`: for
    cells of its own that others hold. A cell that dies equally `max_attempts` times has failed.
    """

    lease_seconds: float = LEASE_SECONDS
    max_attempts: int = 3
    max_cells: int | None = None
    idle_seconds: float | None = 0.0
    waits: bool = True
    fail_fast: bool = False


class Worker:
    """One claim loop."""

    def __init__(
        self,
        store: Store,
        runs: RunsFolder,
        executor: Executor,
        display: Display,
        options: WorkOptions,
        stop: Stop,
        own: Mapping[int, str] | None = None,
    ) -> None:
        """`own` gives the experiment of each cell that the command has submitted, by its number."""
        self.store = store
        self.runs = runs
        self.executor = executor
        self.display = display
        self.options = options
        self.stop = stop
        self.id = uuid.uuid4().hex
        self.own = own
        self._positions = {key: position for position, key in enumerate(own or (), start=1)}
        self.outcomes: dict[int, Outcome] = {}
        self.given_back: dict[int, str] = {}
        self.unfinished: dict[int, Outcome] = {}
        self._resting: dict[int, float] = {}
        #: Until when others have the runs for which cells were given back.
        self._held_until: dict[int, datetime] = {}
        self._is_told: set[str] = set()

    def work(self) -> None:
        """Execute cells until none is left for this worker, or it is stopped."""
        busy = time.monotonic()
        while not self.stop.is_asked and not self._is_enough():
            try:
                if (claim := self._claim()) is not None:
                    self._attempt(claim)
                    busy = time.monotonic()
                    continue
                if not self._goes_on(time.monotonic() - busy):
                    return
            except StoreAway as error:
                self._endure(error)
            self.stop.wait(POLL_SECONDS)

    def states(self) -> dict[int, CellState]:
        """Cells of its own of which it does not know how they ended."""
        return self.store.cell_states([key for key in self.own or () if key not in self.outcomes])

    def _endure(self, error: StoreAway) -> None:
        """Wait for the database, if this worker is to work for ever."""
        if self.own is not None or self.options.idle_seconds is not None:
            raise error
        if str(error) not in self._is_told:
            self._is_told.add(str(error))
            self.display.note(f"{error}\nthis worker waits for it")

    # --- which cell -------------------------------------------------------------------------

    def _claim(self) -> CellClaim | None:
        now = time.monotonic()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        among = None if self.own is None else [key for key in self.own if key not in self.outcomes]
        if among == []:
            return None
        without = [*self.given_back, *self._resting]
        seconds = self.options.lease_seconds
        return self.store.claim_cell(self.id, seconds, among=among, without=without)

    def _is_enough(self) -> bool:
        ended = self.outcomes.values()
        if self.options.fail_fast and any(outcome.status == "failed" for outcome in ended):
            return True
        return self.options.max_cells is not None and len(ended) >= self.options.max_cells

    def _goes_on(self, idle: float) -> bool:
        """Whether there may be something to do later."""
        if self.own is None:
            limit = self.options.idle_seconds
            self.runs.record_sealed(self.display.note)
            return limit is None or idle < limit
        held = []
        for key, state in self.states().items():
            if state.status in _ENDS:
                self.outcomes[key] = _ended_elsewhere(state)
            elif state.status != "blocked" and key not in self.given_back:
                held.append(state)
        if held and self.options.waits:
            self._tell_waiting(held)
        return bool(held) and self.options.waits

    def _tell_waiting(self, held: Sequence[CellState]) -> None:
        """Say for how many is waited and until when at the most, whenever that changes."""
        ends = [state.lease_until or self._held_until.get(state.id or 0) for state in held]
        known = [end for end in ends if end is not None]
        if not known:
            return
        text = f"{len(known)} {'cell is' if len(known) == 1 else 'cells are'} held by others"
        if text not in self._is_told:
            self._is_told.add(text)
            self.display.note(
                f"{text}: waiting for them (--no-wait does not); one whose process is gone is free "
                f"at {_clock(max(known))} at the latest"
            )

    # --- one cell ---------------------------------------------------------------------------

    def _attempt(self, claim: CellClaim) -> None:
        """Have a claimed cell executed, and tell the queue and the display what became of it."""
        cell, began = claim.queued.cell, time.perf_counter()
        label = cell_name(cell.label, cell.seed)
        position = self._positions.get(claim.id, len(self.outcomes) + 1)
        self.display.started(cell.experiment, label, position, len(self._positions))
        with StoreCoordinator(
            self.store,
            self.runs,
            self.id,
            self.display,
            lease_seconds=self.options.lease_seconds,
            cell=claim,
            runs_of=self._runs_of,
        ) as coordinator:
            try:
                ended = self.executor.execute(claim.queued, coordinator)
            except Died as death:
                ended = self._bury(claim, coordinator, death)
            except LeaseLost as error:  # suspended for too long, before its run was claimed
                ended = Ended("held", error=str(error))
            except RunError as error:  # what a child has told cannot be kept
                ended = _failed(coordinator, error)
            ended = self._timed(claim, self._judged(_corrected(coordinator, ended)))
            self._settle(claim, ended)
        ended.tell_left_behind(self.display)
        seconds = time.perf_counter() - began
        outcome = Outcome(ended.status, cell.experiment, label, ended.run_id, ended.error, seconds)
        if ended.status in ("done", "evaluated", "skipped", "failed", "cancelled"):
            self.outcomes[claim.id] = outcome
        else:
            self.unfinished[claim.id] = outcome
        if ended.status == "interrupted":  # by whomever
            self.stop.ask()
        self.display.finished(outcome)

    def _bury(self, claim: CellClaim, coordinator: StoreCoordinator, death: Died) -> Ended:
        """Record how the process of a cell died: it is tried again unless it died so before."""
        run = coordinator.lease.run
        run_id = run.run_id if run else None
        if self.stop.is_urgent:  # it was killed by us
            with suppress(StoreError):  # its lease runs out
                coordinator.release(_AT_ONCE) if run else self.store.give_back(claim)
            return Ended("interrupted", run_id)
        if coordinator.is_lost or coordinator.is_recorded:
            return Ended("failed", run_id)
        coordinator.let_go()
        limit = self.options.max_attempts
        is_failed = self.store.died(
            claim, run, death.signature, death.message, max_attempts=limit, outcome=death.outcome
        )
        return Ended("failed" if is_failed else "died", run_id, death.message)

    def _settle(self, claim: CellClaim, ended: Ended) -> None:
        """Tell the queue what it does not know from the cell's run."""
        if ended.status in ("evaluated", "skipped"):
            self.store.end_cell(claim, "done", run_id=ended.run_id)
        elif ended.status == "held":
            rest = min(REST_SECONDS, self.options.lease_seconds / 4)
            self._resting[claim.id] = time.monotonic() + rest
            self.store.give_back(claim)
        elif ended.status == "interrupted" and ended.run_id is None:
            self.store.give_back(claim)
        elif ended.status == "given back":
            self.given_back[claim.id] = ended.error or ""
            self.store.give_back(claim, ended.error)
        elif ended.status == "failed" and ended.run_id is None:
            self.store.end_cell(claim, "failed", reason=ended.error)

    def _judged(self, ended: Ended) -> Ended:
        """A cell that could not become a run: its own command's has failed, others' goes back.

        What is wrong with another command's cell may be wrong with this machine.
        """
        is_run = ended.run_id is not None or self.own is not None
        return ended if is_run or ended.status != "failed" else replace(ended, status="given back")

    def _timed(self, claim: CellClaim, ended: Ended) -> Ended:
        """What ended as held, with until when others have its run, or those that it starts from."""
        if ended.status != "held":
            return ended
        cell, waits_for = claim.queued.cell, claim.queued.waits_for
        others = [run for name in waits_for for run in self._runs_of(name)]
        until = self.store.held_until([ended.run_id] if ended.run_id else others)
        if until is None:  # it ended a moment ago
            self._held_until.pop(claim.id, None)
            return ended
        self._held_until[claim.id] = until
        what = "its run" if ended.run_id else "what it starts from"
        text = explain_held(cell.experiment, cell_name(cell.label, cell.seed), what, until)
        return replace(ended, error=f"{ended.error}\n{text}" if ended.error else text)

    def _runs_of(self, experiment: str) -> list[str]:
        """The runs of an experiment: those of this command's cells, else of its newest spec."""
        own = [key for key, name in (self.own or {}).items() if name == experiment]
        states = self.store.cell_states(own).values()
        return [s.run_id for s in states if s.run_id] or self.store.present_runs(experiment)


def _failed(coordinator: StoreCoordinator, error: RunError) -> Ended:
    """Record that a run failed whose child was stopped in the middle of it."""
    run = coordinator.lease.run
    if run is not None and not coordinator.is_lost:
        coordinator.fail(error.reason, str(error), "")
    return Ended("failed", run.run_id if run else None, str(error))


def _corrected(coordinator: StoreCoordinator, ended: Ended) -> Ended:
    """How a cell really ended: its run may be done, another process's, or cancelled meanwhile."""
    if ended.status in ("interrupted", "failed") and coordinator.is_recorded:
        return Ended("done", ended.run_id)
    if ended.status != "failed" or not coordinator.is_lost:
        return ended
    loss = coordinator.lease.loss()
    return Ended("cancelled" if loss.reason == "cancelled" else "held", ended.run_id, str(loss))


def explain_held(experiment: str, label: str, what: str, until: datetime) -> str:
    """Until when another process has what a cell needs, unless that process lives."""
    return (
        f"{experiment} {label}: another process has {what}; "
        f"if that is gone, it is free at {_clock(until)} at the latest"
    )


def _clock(time: datetime) -> str:
    return time.astimezone().strftime("%H:%M:%S")


#: How a cell stands that another worker has ended, and how that is told.
_ENDS = {"done": "skipped", "failed": "failed", "cancelled": "cancelled"}


def _ended_elsewhere(state: CellState) -> Outcome:
    label = cell_name(state.label, state.seed)
    reason = state.reason or ("it was cancelled" if state.status == "cancelled" else None)
    return Outcome(_ENDS[state.status], state.experiment, label, state.run_id, reason)
