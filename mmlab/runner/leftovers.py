"""What killed processes have left unfinished in the folder of a run, and how it is cleared."""

from __future__ import annotations

import fcntl
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from mmlab.runner.spool import FOLDER as SPOOLS
from mmlab.runner.spool import lock

#: What modules that import torch call their folders in that of a run.
CHECKPOINTS, PARTS = "checkpoints", "parts"
#: A file that gets its name when it is whole; a folder that is no checkpoint yet, or none any more;
#: weights of a claim that was not sure of its run.
_PARTIAL = re.compile(r"\..+\.[0-9a-f]+\.partial")
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]+")
#: Where one claim fills whatever gets its name when it is whole.
_CLAIM = re.compile(r"\.claim-(\d+)")
_UNSURE = re.compile(r"(best|final)-\d{1,9}\.safetensors")


def claim_folder(run: Path, fence: int) -> Path:
    """Where a claim of a run fills files and folders, which then get names in the run's folder.

    It is gone once the run is claimed again: who was frozen meanwhile can give no name any more.
    """
    return run / f".claim-{fence}"


def clear_leftovers(run: Path, fence: int) -> None:
    """Delete what killed processes have left unfinished of a run that has just been claimed.

    `run` is its folder. Whoever had it before `fence` may write no more; what that has finished
    stays, and so does what cannot be deleted. Call it once what spools hold is recorded.
    """
    take_from_others(run, fence)
    folders = [run, run / PARTS, *_paths(run / PARTS)]
    spools = [path for path in _paths(run.parent / SPOOLS) if path.name.startswith(f"{run.name}-")]
    found = [
        *(path for folder in folders for path in _paths(folder, _PARTIAL)),
        *_paths(run, _UNSURE),
        *_paths(run / CHECKPOINTS, _TEMPORARY),
        *(path for path in spools if is_empty(path)),
    ]
    for path in found:
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def take_from_others(run: Path, fence: int) -> None:
    """Delete the folders of all claims before this one, at once as far as these can tell."""
    for path in claim_folders(run):
        if int(path.name.rpartition("-")[2]) < fence:
            with suppress(OSError):
                gone = path.rename(run / f".claim.{uuid.uuid4().hex}.partial")
                shutil.rmtree(gone)


def claim_folders(run: Path) -> list[Path]:
    """The folders in which claims of a run fill their files."""
    found = _paths(run, _CLAIM)
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _paths(folder: Path, names: re.Pattern[str] = re.compile(".*")) -> list[Path]:
    """What is in a folder, if it is one, and has such a name."""
    try:
        return sorted(path for path in folder.iterdir() if names.fullmatch(path.name))
    except OSError:
        return []


def is_empty(spool: Path) -> bool:
    """Whether a process was killed before it wrote what the spool is of."""
    if spool.suffix != ".bin" or not spool.is_file() or spool.stat().st_size:
        return False
    with spool.open("rb") as file:  # one that lives holds a lock, and writes at this moment
        return lock(file.fileno(), fcntl.LOCK_SH)
