"""The folder of weights and spools that belongs to a database: every worker must leave files there.

A file in it, TOKENS, has a line for each database whose runs it has. Otherwise a worker on another
machine would leave weights where the next one does not find them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmlab.errors import UsageError, explain
from mmlab.files import kind_at, read_file, sync_names
from mmlab.runner.sync import sync_folder
from mmlab.store import Store

#: Lines of 32 hexadecimal digits.
TOKENS = ".mmlab-databases"
#: Sealed spools are looked for so often.
_RECORD_SECONDS = 60.0


class RunsFolder:
    """A folder for the runs of an open store."""

    def __init__(self, store: Store, path: Path) -> None:
        """UsageError unless files can be left in it, and it is this database's, or may become so.

        The first folder in which a run of the database leaves files is its own from then on.
        """
        require_folder(path)
        self.store = store
        self.path = path
        self._recorded_at = -math.inf
        self._is_adopted = store.runs_token in _tokens(path)
        if not self._is_adopted and store.runs_token is not None and store.artifact_paths():
            raise UsageError(_anothers(store, path))

    def record_sealed(self, note: Callable[[str], None]) -> None:
        """Record runs that ended while the database was away, every minute at the most."""
        if time.monotonic() - self._recorded_at >= _RECORD_SECONDS:
            sync_folder(self.store, self.path, note, self.store.database_id)
            self._recorded_at = time.monotonic()

    def adopt(self) -> None:
        """Make it the database's, before a run leaves its first file."""
        if self._is_adopted:
            return
        adopt(self.store, self.path)
        self._is_adopted = True


def adopt(store: Store, path: Path) -> None:
    """Make a folder the one of a database's runs. Raises UsageError where no file can be left."""
    require_folder(path)
    token = store.adopt_runs(store.database_id)
    if token not in _tokens(path):
        _add(path, token)


def require_folder(runs: Path) -> None:
    """Raise UsageError where no folder for weights can be made."""
    there = next(
        path for path in (runs.absolute(), *runs.absolute().parents) if os.path.exists(path)
    )
    is_effective = os.access in os.supports_effective_ids
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=is_effective):
        return
    raise _unfit(runs, f"{there} is {'not writable' if there.is_dir() else 'not a folder'}")


def _unfit(runs: Path, found: str) -> UsageError:
    return UsageError(
        explain(
            str(runs),
            "weights cannot be kept there",
            found=found,
            allowed="a folder, there or yet to be made, that this user may write",
            next_step="choose another folder with --runs, or mend this one",
        )
    )


def _tokens(runs: Path) -> list[str]:
    try:
        return read_file(runs / TOKENS).decode("ascii", "replace").split()
    except OSError:
        return []


def _add(runs: Path, token: str) -> None:
    """Append a line: in one write, as other databases may be added at the same moment.

    What is new is on the disk then, the names of folders too. Raises UsageError.
    """
    above = runs.absolute().parents
    new = [runs.absolute(), *(path for path in above if not path.exists())]
    try:
        runs.mkdir(parents=True, exist_ok=True)
        kind = kind_at(runs / TOKENS)
        if kind not in (None, "a file"):  # a pipe would be waited for
            raise _unfit(runs, f"{TOKENS} in it is {kind}")
        with (runs / TOKENS).open("ab", buffering=0) as file:
            file.write(f"{token}\n".encode())
            os.fsync(file.fileno())
    except OSError as error:  # what may be written is not always taken: /proc, a full disk
        raise _unfit(runs, error.strerror or str(error)) from error
    for folder in (*new, new[-1].parent):
        with suppress(OSError):  # one that may be written, but not read
            sync_names(folder)


def _anothers(store: Store, runs: Path) -> str:
    return explain(
        str(runs),
        "this is not the folder where the runs of the database have left their files",
        found=f"no line {store.runs_token} in {runs / TOKENS}",
        allowed="the folder of its earlier runs, on a disk that all its workers share",
        next_step=f"name that with --runs; to have this one from now on: mmlab db runs {runs}",
    )
