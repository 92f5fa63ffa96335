"""The folder of weights and spools that belongs to a database: every worker must leave files there.

A file in it, TOKENS, has a line for each database whose runs it has. Otherwise a worker on another
machine would leave weights where the next one does not find them.
"""

from __future__ import annotations

import os
from pathlib import Path

from mmlab.errors import UsageError, explain
from mmlab.store import Store

#: Lines of 32 hexadecimal digits.
TOKENS = ".mmlab-databases"


def require_runs(store: Store, runs: Path) -> None:
    """Raise UsageError unless files can be left in a folder, and it is this database's.

    The first folder that a database's runs use is its own from then on; it may be another one for
    as long as no run has left a file.
    """
    require_folder(runs)
    token, known = store.runs_token, _tokens(runs)
    if token is None or (token not in known and not store.artifact_paths()):
        token = store.adopt_runs(store.database_id)
        _add(runs, token)
        known = _tokens(runs)
    if token not in known:
        raise UsageError(_anothers(store, runs))


def adopt(store: Store, runs: Path) -> None:
    """Make a folder the one of a database's runs, whatever was before. UsageError as above."""
    require_folder(runs)
    token = store.adopt_runs(store.database_id)
    if token not in _tokens(runs):
        _add(runs, token)


def require_folder(runs: Path) -> None:
    """Raise UsageError where no folder for weights can be made."""
    there = next(
        path for path in (runs.absolute(), *runs.absolute().parents) if os.path.exists(path)
    )
    is_effective = os.access in os.supports_effective_ids
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=is_effective):
        return
    raise UsageError(
        explain(
            str(runs),
            "weights cannot be kept there",
            found=f"{there} is {'not writable' if there.is_dir() else 'not a folder'}",
            allowed="a folder, there or yet to be made, that this user may write",
            next_step="choose another folder with --runs, or mend this one",
        )
    )


def _tokens(runs: Path) -> list[str]:
    try:
        return (runs / TOKENS).read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []


def _add(runs: Path, token: str) -> None:
    """Append a line: in one write, as other databases may be added at the same moment."""
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / TOKENS).open("ab", buffering=0) as file:
        file.write(f"{token}\n".encode())
        os.fsync(file.fileno())


def _anothers(store: Store, runs: Path) -> str:
    return explain(
        str(runs),
        "this is not the folder where the runs of the database have left their files",
        found=f"no line {store.runs_token} in {runs / TOKENS}",
        allowed="the folder of its earlier runs, on a disk that all its workers share",
        next_step=f"name that with --runs; to have this one from now on: mmlab db runs {runs}",
    )
