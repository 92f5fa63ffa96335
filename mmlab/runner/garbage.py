"""Files that can go: features and inputs, which can be made again, and weights no run names.

Only what mmlab itself has written is looked at: files of features or inputs, safetensors and
checkpoints in the folders of runs, and spools. Weights that a run of the database names stay, and
so does all of a run that may go on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from mmlab.data.tables import abandoned, is_being_made
from mmlab.errors import MmlabError, explain
from mmlab.files import kind_at
from mmlab.runner.checkpoints import FOLDER
from mmlab.runner.kept import PARTS_ENDING
from mmlab.runner.leftovers import claim_folders, is_empty
from mmlab.runner.score import PARTS_FOLDER
from mmlab.runner.spool import FOLDER as SPOOLS
from mmlab.runner.sync import OVER, Unreadable, look_into
from mmlab.store import Store

Kind = Literal["features", "inputs", "weights", "checkpoints", "parts", "spools"]

_RUN = re.compile(r"[0-9a-f]{32}\Z")
_WEIGHTS = re.compile(r"(\.[^/]+\.safetensors\.[0-9a-f]+\.partial|[^/.][^/]*\.safetensors)\Z")
_KEY = re.compile(r"[0-9a-f]{64}\Z")
_SPOOL = re.compile(r"[0-9a-f]{32}-\d+-[^/]+\.bin\Z")
_FEATURES = re.compile(r"[0-9a-f]{64}\.safetensors\Z")
#: States of a run whose files may yet be needed.
_UNENDED = ("queued", "running")


@dataclass(frozen=True)
class Garbage:
    """A file, or a folder of checkpoints, that can go: what it is, and why nothing is lost."""

    kind: Kind
    path: Path
    size_bytes: int
    content: str
    reason: str


def find_features(cache: Path) -> list[Garbage]:
    """Every file of features or inputs in a folder, and what killed processes left there."""
    left = [*_unfinished(cache), *(path for path in abandoned(cache) if not path.is_symlink())]
    reason = "left by a process that ended early"
    found = [_garbage("features", path, "unfinished", reason) for path in left]
    for path in _files(cache):
        if _FEATURES.match(path.name):
            kind, content = _describe(path)
            found.append(_garbage(kind, path, content, "can be computed again"))
    return found


def find_weights(runs: Path, store: Store) -> list[Garbage]:
    """Weights in the folders of runs that no run of the database names.

    The folder is listed before the database is asked: a run is there before it writes anything.
    """
    folders = list(_folders(runs))
    files = [path for folder in folders for path in _files(folder)]
    claims = [path for folder in folders for path in claim_folders(folder)]
    statuses, named = store.run_statuses(), store.artifact_paths()
    found = []
    for path in files:
        run_id = path.parent.name
        status = statuses.get(run_id)
        is_kept = status in _UNENDED or f"{run_id}/{path.name}" in named
        if _WEIGHTS.match(path.name) and not is_kept:
            about = f"{path.stem} of run {run_id[:12]}"
            found.append(_garbage("weights", path, about, _why(status)))
    for path in claims:
        status = statuses.get(path.parent.name)
        if status not in _UNENDED:
            about = f"unfinished, of run {path.parent.name[:12]}"
            found.append(_garbage("weights", path, about, _why(status)))
    return found


def find_checkpoints(runs: Path, store: Store) -> list[Garbage]:
    """The checkpoints of runs that will not go on by themselves: done, failed, or unknown here."""
    folders = [path for run in _folders(runs) if os.path.isdir(path := run / FOLDER)]
    statuses = store.run_statuses()
    found = []
    for path in (path for path in folders if not path.is_symlink()):
        run_id = path.parent.name
        status = statuses.get(run_id)
        if status not in _UNENDED:
            about = f"checkpoints of run {run_id[:12]}"
            found.append(_garbage("checkpoints", path, about, _why(status)))
    return found


def find_parts(runs: Path, store: Store) -> list[Garbage]:
    """Parts of evaluations of runs that will not go on by themselves, and nobody is at.

    Folders are listed before the database is asked: a part is claimed before it has a file.
    """
    folders = [path for run in _folders(runs) if (path := run / PARTS_FOLDER).is_dir()]
    statuses, evaluated = store.run_statuses(), store.evaluated_runs()
    found = []
    for path in (path for path in folders if not path.is_symlink()):
        run_id = path.parent.name
        status = statuses.get(run_id)
        if status not in _UNENDED and run_id not in evaluated:
            about = f"parts of evaluations of run {run_id[:12]}"
            found.append(_garbage("parts", path, about, _why(status)))
    return found


def find_spools(runs: Path, store: Store) -> list[Garbage]:
    """Spools that nobody will record: without a record, or of runs that are over or unknown here.

    Those of living processes and of other databases stay, and what is of no format that is known.
    """
    paths = [path for path in _files(runs / SPOOLS) if _SPOOL.match(path.name)]
    statuses, database = store.run_statuses(), store.database_id
    found = []
    for path in paths:
        with suppress(Unreadable, OSError):  # another process may delete it at this moment
            if is_empty(path):
                reason = "left by a process that ended early"
                found.append(_garbage("spools", path, "unfinished", reason))
                continue
            spool = look_into(path)
            status = statuses.get(spool.header.run_id)
            is_ours = spool.header.database in ("", database)
            if is_ours and not spool.is_living and status in (None, *OVER):
                about = f"records of run {spool.header.run_id[:12]}, claim {spool.header.fence}"
                found.append(_garbage("spools", path, about, _why(status)))
    return found


def delete(garbage: Garbage) -> None:
    """Delete a file, and its run's folder once that is empty. Raises MmlabError where it cannot."""
    try:
        if garbage.path.is_dir():
            shutil.rmtree(garbage.path)
        else:
            garbage.path.unlink(missing_ok=True)
    except OSError as error:
        raise _undeletable(garbage.path, error) from error
    if garbage.kind in ("weights", "checkpoints", "parts"):
        with suppress(OSError):  # it is not empty
            garbage.path.parent.rmdir()


def _folders(runs: Path) -> Iterator[Path]:
    folders = (path for path in _listed(runs) if _RUN.match(path.name) and os.path.isdir(path))
    yield from (path for path in folders if not path.is_symlink())


def _files(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if os.path.isfile(path) and not path.is_symlink()]


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing where there is none. MmlabError where it may not be."""
    try:
        return sorted(folder.iterdir()) if kind_at(folder) == "a folder" else []
    except OSError as error:
        raise MmlabError(
            explain(
                str(folder),
                "the folder cannot be listed",
                found=error.strerror or str(error),
                allowed="a folder that this user may enter and read",
                next_step="mend the folder's permissions, then run the command again",
            )
        ) from error


def _unfinished(cache: Path) -> Iterator[Path]:
    """The folders of parts of features that nobody makes."""
    for path in sorted(cache.glob(f"*{PARTS_ENDING}")):
        is_ours = path.is_dir() and not path.is_symlink() and _KEY.match(path.stem)
        if is_ours and not is_being_made(cache, path.stem):
            yield path


def _why(status: str | None) -> str:
    return "no such run in the database" if status is None else f"a {status} run"


def _garbage(kind: Kind, path: Path, content: str, reason: str) -> Garbage:
    return Garbage(kind, path, _size(path), content, reason)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _describe(path: Path) -> tuple[Kind, str]:
    """Of which kind a file is and what it holds: "convnet on emoji, train"."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts: Mapping[str, str] = file.metadata() or {}
        about = json.loads(facts["mmlab"])["about"]
        dataset = about["dataset"]
        kind: Kind = "features" if "encoder" in about else "inputs"
        encoder = about["encoder" if kind == "features" else "inputs"]["use"]
        return kind, f"{encoder} on {dataset['use']}, {dataset['split']}"
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return "features", "damaged"


def _undeletable(path: Path, error: OSError) -> MmlabError:
    return MmlabError(
        explain(
            str(path),
            "cannot be deleted",
            found=error.strerror or str(error),
            allowed="a file in a folder that this user may write",
            next_step="mend the folder's permissions, then run the command again",
        )
    )
