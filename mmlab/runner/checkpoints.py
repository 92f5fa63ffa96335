"""Checkpoints of a run: folders that are whole or not there, from which its training goes on.

RUNS/RUN_ID/checkpoints/step-000001200/ has the training state after 1,200 steps, the best weights
until then, and a manifest with the sha256 of each file. A folder gets that name when all that is in
it is on the disk. Whoever writes here holds the run's lease. Of a group of processes that is the
main one, which writes what all of them have.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from mmlab.errors import RunError, explain
from mmlab.files import is_disk_full, read_file, size_text, sync, sync_names
from mmlab.hashing import digest
from mmlab.records import Artifact
from mmlab.runner.leftovers import claim_folder
from mmlab.train.processes import ProcessGroup
from mmlab.train.state import (
    TENSORS,
    VALUES,
    State,
    pack,
    unpack,
    unpack_others,
)

#: The folder of checkpoints in that of a run, and what stands in each.
FOLDER, MANIFEST = "checkpoints", "manifest.json"
#: The best weights of a run, and those until a checkpoint: another name (hard link) of one file.
BEST = "best.safetensors"
#: How many processes trained, in what a checkpoint was made with: a batch is divided otherwise.
PROCESSES = "processes"
#: So many are kept: the last may turn out to be damaged.
KEPT = 2
#: Space for so many must be free before training begins.
NEEDED = 3
#: So many bytes are tried without waiting for the disk.
SMALL = 1_000_000


@dataclass(frozen=True)
class Saved:
    """What a training goes on from: its state after so many steps.

    `others` is what processes of a group had otherwise than the main one, by their ranks.
    """

    step: int
    states: Mapping[str, State]
    processes: int = 1
    others: Mapping[int, Mapping[str, State]] = field(default_factory=dict)

    def of(self, group: ProcessGroup) -> dict[str, State]:
        """The state of this process. A process that was not there goes on as the main one."""
        own = self.others.get(group.rank, {}) if self.processes == group.size else {}
        return {**self.states, **own}


def share(saved: Saved | None, group: ProcessGroup) -> Saved | None:
    """What the main process of a group has read, for all; all processes call this at once."""
    if group.size == 1:
        return saved
    files = pack({"saved": {} if saved is None else vars(saved)})
    found = unpack({name: group.spread(files[name]) for name in (TENSORS, VALUES)})["saved"]
    return Saved(**found) if found else None


class Damaged(Exception):
    """Why a folder is no checkpoint, in a few words."""


class Checkpoints:
    """The checkpoints of one run.

    `made_with` is all that must be equal for a training to go on: data, batch, code. `tell` takes
    what is worth a line. `own` is where the claim that writes fills what then gets its name.
    """

    def __init__(
        self, run: Path, made_with: Mapping[str, object], tell: Callable[[str], None]
    ) -> None:
        self.run = run
        self.folder = run / FOLDER
        self.made_with = made_with
        self.tell = tell
        self.starts_anew = False
        self.own: Path | None = None
        self._is_named = False

    def changes(self) -> list[str]:
        """What is not as it was when the newest was made: "libraries torch: 2.14, now 2.15"."""
        for folder in self._newest_first():
            with suppress(Damaged):
                before, now = _read_manifest(folder)["made_with"], self.made_with
                return list(_changes({**before, PROCESSES: None}, {**now, PROCESSES: None}))
        return []

    def refusal(self, changes: list[str]) -> RunError:
        """Why training does not go on."""
        return RunError(
            explain(
                f"run {self.run.name}",
                "its training cannot go on: it would not be the one that was begun",
                found="; ".join(changes),
                allowed="the data, batch size, device and code of its checkpoint",
                next_step="bring these back, or start the training again: mmlab run with --restart",
            )
        )

    def take(self, fence: int) -> None:
        """Make the folder in which this claim fills its files. RunError where that does not go."""
        self.own = claim_folder(self.run, fence)
        with self._writing(0):
            self.own.mkdir(parents=True, exist_ok=True)

    def leave(self) -> None:
        """Delete that folder, if nothing is in it."""
        if self.own is not None:
            with suppress(OSError):
                self.own.rmdir()

    def open(self) -> Saved | None:
        """The newest that is whole, its best weights in their place; None to begin anew.

        What killed processes left is cleared, and what is damaged is set aside and told.
        """
        _clear(self.run.glob(".*.partial"), self.folder.glob(".tmp-*"))
        if self.starts_anew:
            self.clear()
        elif changes := self.changes():
            raise self.refusal(changes)
        for folder in self._newest_first():
            try:
                saved = _read(folder)
            except Damaged as fault:
                self._set_aside(folder, str(fault))
                continue
            self._put_best_back(folder)
            return saved
        return None

    def try_out(self, files: Mapping[str, bytes]) -> None:
        """Write such files and remove them again. RunError where that, or three, does not go.

        Of few bytes it does not wait for the disk, which would cost more than a small cell's step.
        """
        size = sum(map(len, files.values()))
        with self._writing(size):
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
            if free < NEEDED * size:
                raise _no_space(self.folder, free, size)
            with self._temporary() as temporary:
                for name, data in files.items():
                    (temporary / name).write_bytes(data)
                    if size > SMALL:  # some disks say only then that they are full
                        sync(temporary / name)

    def write(self, step: int, files: Mapping[str, bytes], best: Artifact | None) -> None:
        """Write a checkpoint, with the best weights so far, and delete all but the last.

        Raises RunError and leaves those before untouched where it cannot be written.
        """
        with self._writing(sum(map(len, files.values()))), self._temporary() as temporary:
            listed = _write_all(temporary, files)
            if best is not None:
                _link(self.run.parent / best.path, temporary / BEST)
                listed[BEST] = best.sha256
            body = {"step": step, "files": listed, "made_with": self.made_with}
            text = json.dumps({"sha256": digest(body), "body": body}, indent=1)
            _write(temporary / MANIFEST, text.encode())
            sync_names(temporary)
            temporary.rename(self.folder / _name(step))
            sync_names(self.folder)
            if not self._is_named:  # the folders above it are as new
                sync_names(self.run)
                sync_names(self.run.parent)
                self._is_named = True
        for folder in list(self._newest_first())[KEPT:]:
            self._delete(folder)

    def clear(self) -> None:
        """Delete all of them, those that were set aside too."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> Iterator[Path]:
        yield from sorted(self.folder.glob("step-*"), reverse=True)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A new folder that is gone afterwards, unless it has got another name."""
        path = (self.own or self.folder) / f".tmp-{uuid.uuid4().hex}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _delete(self, folder: Path) -> None:
        """What is half deleted must not look like a checkpoint."""
        path = self.folder / f".tmp-{uuid.uuid4().hex}"
        with suppress(OSError):  # it is cleared when the run is done
            folder.rename(path)
            shutil.rmtree(path)

    def _set_aside(self, folder: Path, fault: str) -> None:
        name = f"corrupt-{folder.name}-{uuid.uuid4().hex[:6]}"
        with self._writing(0):
            folder.rename(self.folder / name)
        self.tell(f"{folder}: this checkpoint is damaged ({fault}); it is kept as {name}")

    def _put_best_back(self, folder: Path) -> None:
        """Weights that were best at a later step must not be found."""
        if not os.path.exists(folder / BEST):
            return
        partial = (self.own or self.run) / f".{BEST}.{uuid.uuid4().hex[:12]}.partial"
        _link(folder / BEST, partial)
        partial.replace(self.run / BEST)
        partial.unlink(missing_ok=True)  # renaming leaves two names of one file as they are

    @contextmanager
    def _writing(self, size: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self.folder, size, error) from error


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _write_all(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files; gives the sha256 of each."""
    for name, data in files.items():
        _write(folder / name, data)
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    sync(path)


def _link(source: Path, target: Path) -> None:
    """Give a file, which nobody changes in place, another name; a copy where there are no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def _clear(*found: Iterator[Path]) -> None:
    for paths in found:
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _read(folder: Path) -> Saved:
    """A checkpoint, every byte of it checked. Raises Damaged."""
    manifest = _read_manifest(folder)
    listed: Mapping[str, str] = manifest["files"]
    files = {name: _checked(folder / name, sha256) for name, sha256 in listed.items()}
    processes = manifest["made_with"].get(PROCESSES, 1)
    try:
        return Saved(manifest["step"], unpack(files), processes, unpack_others(files))
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:
        raise Damaged(f"not a training state: {error}") from error


def _checked(path: Path, sha256: str) -> bytes:
    data = _bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Damaged(f"{path.name}: other bytes than were written")
    return data


#: What says that a file is not there, or that the disk has lost it; all else may be right later.
_LOST = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO)


def _bytes(path: Path) -> bytes:
    """What is in a file. Raises Damaged; RunError where it may be whole but cannot be read now."""
    try:
        return read_file(path)
    except OSError as error:
        if error.errno in _LOST:
            raise Damaged(f"{path.name}: {error.strerror or error}") from error
        raise _unreadable(path, error) from error


def _read_manifest(folder: Path) -> dict[str, Any]:  # Any: JSON
    text = _bytes(folder / MANIFEST)
    try:
        manifest = json.loads(text)
        body: dict[str, Any] = manifest["body"]
        is_whole = manifest["sha256"] == digest(body) and folder.name == _name(body["step"])
        is_whole = is_whole and {"files", "made_with"} <= body.keys()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{MANIFEST} cannot be read: {error}") from error
    if not is_whole:
        raise Damaged(f"{MANIFEST}: other bytes than were written")
    return body


def _changes(before: object, now: object, *where: str) -> Iterator[str]:
    """The differences of two values of JSON, each with its place."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            yield from _changes(before.get(key), now.get(key), *where, str(key))
    elif before != now:
        yield f"{' '.join(where)}: {_short(before)}, now {_short(now)}"


def _short(value: object) -> str:
    return "nothing" if value is None else str(value)[:16]


def _unwritable(folder: Path, size: int, error: OSError) -> RunError:
    message = explain(
        str(folder),
        "the checkpoint cannot be written",
        found=error.strerror or str(error),
        allowed=f"a folder with {size:,} bytes free that this user may write",
        next_step="free space or choose another folder with --runs, then run again",
    )
    return RunError(message, "disk_full" if is_disk_full(error) else "error")


def _unreadable(path: Path, error: OSError) -> RunError:
    return RunError(
        explain(
            str(path),
            "a checkpoint cannot be read",
            found=error.strerror or str(error),
            allowed="files that this user may read",
            next_step="mend that, then run again; mmlab run with --restart begins anew",
        )
    )


def _no_space(folder: Path, free: int, size: int) -> RunError:
    message = explain(
        str(folder),
        "there is too little space for the checkpoints of this training",
        found=f"{size_text(free)} free",
        allowed=f"{size_text(NEEDED * size)}: {NEEDED} checkpoints of {size_text(size)}",
        next_step="free space or choose another folder with --runs, then run again",
    )
    return RunError(message, "disk_full")
