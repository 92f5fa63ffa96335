"""Holding a run while it executes: a thread renews the lease so that no other process takes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmlab.errors import RunError, StoreError, explain
from mmlab.store import Claim, Store

#: A run whose process died is taken up by others after this long.
LEASE_SECONDS = 60.0


class Lease:
    """A claim that is being renewed. `check` is called at every emission of the training."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self._stop = threading.Event()
        self._is_lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="mmlab-lease", daemon=True)

    def check(self) -> None:
        """Raise RunError("lost") once another process has taken the run."""
        if not self._is_lost.is_set():
            return
        message = explain(
            f"run {self.claim.run_id}",
            "another process has taken this run over",
            found="the lease was not renewed in time (was this process suspended?)",
            allowed="one process a run; nothing was written after the takeover",
            next_step="leave the run to the other process, or run again when it has ended",
        )
        raise RunError(message, "lost")

    def hold(self) -> None:
        """Renew now, before files are written: no fence guards those of the run's next process.

        Raises as `check` does.
        """
        if not self.store.renew(self.claim, self.claim.lease_seconds):
            self._is_lost.set()
        self.check()

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def _renew(self) -> None:
        seconds = self.claim.lease_seconds
        while not self._stop.wait(seconds / 4):
            try:
                if not self.store.renew(self.claim, seconds):
                    self._is_lost.set()
                    return
            except StoreError:
                # The database is away; whether the run is lost shows when it is back.
                continue


@contextmanager
def keep_lease(store: Store, claim: Claim) -> Iterator[Lease]:
    """Renew the claim in the background for as long as the block runs."""
    lease = Lease(store, claim)
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()
