"""The folder of weights and spools that belongs to a database: every worker must leave files there.

A file in it, TOKENS, has a line for each database whose runs it has. Otherwise a worker on another
machine would leave weights where the next one does not find them.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from mmlab.errors import UsageError, explain
from mmlab.runner.spool import FOLDER as SPOOLS
from mmlab.store import Store

#: Lines of 32 hexadecimal digits.
TOKENS = ".mmlab-databases"


class RunsFolder:
    """A folder for the runs of an open store."""

    def __init__(self, store: Store, path: Path) -> None:
        """UsageError unless files can be left in it, and it is this database's, or may become so.

        The first folder in which a run of the database leaves files is its own from then on.
        """
        require_folder(path)
        self.store = store
        self.path = path
        self._is_adopted = store.runs_token in _tokens(path)
        if not self._is_adopted and store.runs_token is not None and store.artifact_paths():
            raise UsageError(_anothers(store, path))

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
    raise UsageError(
        explain(
            str(runs),
            "weights cannot be kept there",
            found=f"{there} is {'not writable' if there.is_dir() else 'not a folder'}",
            allowed="a folder, there or yet to be made, that this user may write",
            next_step="choose another folder with --runs, or mend this one",
        )
    )


#: Files that are written whole under another name first, and weights of a former claim that was not
#: sure of the run.
_LEFT_OF_RUN = re.compile(r"\..+\.[0-9a-f]+\.partial|(best|final)-\d{1,9}\.safetensors")
#: What `mmlab.runner.checkpoints`, which imports torch, calls its folder in that of a run.
CHECKPOINTS = "checkpoints"
_LEFT_OF_CHECKPOINTS = re.compile(r"\.tmp-[0-9a-f]+")


def clear_leftovers(run: Path) -> None:
    """Delete what killed processes have left unfinished of a run that has just been claimed.

    `run` is its folder. Whoever had it before may write no more; what that has finished stays, and
    so does what cannot be deleted. Call it once what spools hold is recorded.
    """
    spools = [path for path in _paths(run.parent / SPOOLS) if path.name.startswith(f"{run.name}-")]
    found = [
        *(path for path in _paths(run) if _LEFT_OF_RUN.fullmatch(path.name)),
        *(path for path in _paths(run / CHECKPOINTS) if _LEFT_OF_CHECKPOINTS.fullmatch(path.name)),
        *(path for path in spools if _is_empty(path)),
    ]
    for path in found:
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _paths(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_empty(spool: Path) -> bool:
    """Whether a process was killed before it wrote what the spool is of."""
    return spool.suffix == ".bin" and spool.is_file() and not spool.stat().st_size


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
