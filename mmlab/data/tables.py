"""The feature cache: tables of features or inputs kept of a split for an encoder, and their files.

Of a frozen encoder the rows are features; of one that is trained they are its inputs. Rows of
several groups of samples can be joined, and some of them taken. A file is mapped into memory,
written whole or not at all, and read again only if it is what was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmlab.data.samples import SampleIndex
from mmlab.files import atomic_file, kind_at
from mmlab.plugin import Features


class Rows:
    """Where the rows of a split's values are, as evaluation transforms give them.

    Those of sample 0 come first, then those of sample 1, ..., and one of the placeholder at the
    end. A sample has a row for each of its captions, one for any other value, none where it lacks
    the modality: rows `starts[i]` to `starts[i + 1]`; starts (n + 1,) int64.
    """

    starts: Tensor

    @property
    def is_drawn(self) -> bool:
        """Whether training draws among several rows of a sample."""
        return bool((self.starts.diff() > 1).any())

    def row(self, index: int, train: bool) -> int | None:
        """A sample's row: drawn from torch's generator where training has several, else the first.

        None where the sample lacks the modality. Draws exactly what reading the sample would draw.
        """
        first, stop = self._starts[index], self._starts[index + 1]
        if first == stop:
            return None
        if not train or stop - first == 1:
            return first
        return first + int(torch.randint(stop - first, ()))

    def first_rows(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """First rows of several samples, (m,) int64, and whether each has the modality (m,)."""
        first = self.starts[:-1][index]
        present = first < self.starts[1:][index]
        return torch.where(present, first, self.starts[-1]), present

    def places(self, rows: Iterable[int | None]) -> tuple[Tensor, Tensor]:
        """The rows, that of the placeholder for None, (m,) int64; and which are not None (m,)."""
        found = list(rows)
        absent = self._starts[-1]
        index = torch.tensor([absent if row is None else row for row in found])
        return index, torch.tensor([row is not None for row in found])

    @cached_property
    def _starts(self) -> Sequence[int]:
        starts: list[int] = self.starts.tolist()
        return starts


@dataclass(frozen=True)
class FeatureTable(Rows):
    """Features of one frozen encoder for one split; `features` holds the rows."""

    features: Features
    starts: Tensor

    def take(self, rows: Tensor) -> Features:
        """Copies of rows (m,), on the device where the table is."""
        return self.features.map(lambda x: _take(x, rows))

    def to(self, device: torch.device) -> FeatureTable:
        """The same rows on a device; sample by sample they are still found from the host."""
        return replace(self, features=self.features.map(lambda x: x.to(device)))

    @property
    def size_bytes(self) -> int:
        """What the rows take."""
        found = (self.features.pooled, self.features.tokens, self.features.mask)
        return sum(x.nbytes for x in found if x is not None)


@dataclass(frozen=True)
class InputTable(Rows):
    """Transformed inputs of one encoder for one split; `inputs` (R, ...) holds the rows."""

    inputs: Tensor
    starts: Tensor

    def take(self, rows: Tensor) -> Tensor:
        """Copies of rows (m,), on the device where the table is."""
        return _take(self.inputs, rows)

    def to(self, device: torch.device) -> InputTable:
        """The same rows on a device; sample by sample they are still found from the host."""
        return replace(self, inputs=self.inputs.to(device))

    @property
    def size_bytes(self) -> int:
        """What the rows take."""
        return self.inputs.nbytes


Table = FeatureTable | InputTable


def _take(x: Tensor, rows: Tensor) -> Tensor:
    return x.index_select(0, rows.to(x.device, non_blocking=True))


@dataclass(frozen=True)
class CachedSplit:
    """What is kept of a split, by encoder key, and the outline where anything is.

    `tables` are features of frozen encoders. `inputs` are there only where, together with them,
    no sample need be read.
    """

    tables: Mapping[str, FeatureTable] = field(default_factory=dict)
    index: SampleIndex | None = None
    inputs: Mapping[str, InputTable] = field(default_factory=dict)

    def to(self, device: torch.device) -> CachedSplit:
        """The same with every table on a device, where batches are then gathered.

        Tables that would take more than half of the device's free memory stay where they are.
        """
        tables: list[Table] = [*self.tables.values(), *self.inputs.values()]
        size = sum(table.size_bytes for table in tables)
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
            return self
        return CachedSplit(
            {key: table.to(device) for key, table in self.tables.items()},
            self.index,
            {key: table.to(device) for key, table in self.inputs.items()},
        )

    def covers(self, keys: Iterable[str]) -> bool:
        """Whether no sample need be read for these encoders."""
        return self.index is not None and set(keys) <= self.tables.keys() | self.inputs.keys()


def join_rows(parts: Sequence[Features]) -> Features:
    """Features of several groups of samples as those of one."""
    first = parts[0]
    return Features(
        torch.cat([part.pooled for part in parts]),
        None if first.tokens is None else torch.cat([cast(Tensor, p.tokens) for p in parts]),
        None if first.mask is None else torch.cat([cast(Tensor, p.mask) for p in parts]),
        torch.cat([part.present for part in parts]),
    )


def take_rows(features: Features, index: slice | Tensor) -> Features:
    """Some rows of features: a slice is a view, an index (m,) a copy."""
    return features.map(lambda x: x[index.to(x.device) if isinstance(index, Tensor) else index])


ENDING = ".safetensors"
#: The layout of the file; another one is another key.
LAYOUT = 1
#: Between two looks at whether another process has made the file.
POLL_SECONDS = 0.1


class Damaged(Exception):
    """A file of features that cannot be used; the text says what is wrong with it."""


def write_table(path: Path, table: Table, about: Mapping[str, object]) -> None:
    """Write a table and what it is in one atomic step. Raises OSError, leaving nothing behind."""
    tensors = _tensors(table)
    facts = {"about": about, "sha256": content_sha256(tensors)}
    with atomic_file(path) as partial:
        # Its writer has a temporary file of its own, of whatever name, beside the one it is given.
        inside = partial.with_suffix(".folder")
        inside.mkdir()
        try:
            save_file(tensors, inside / path.name, {"mmlab": json.dumps(facts)})
            (inside / path.name).replace(partial)
        except SafetensorError as error:  # what it makes of a full disk, say
            raise OSError(str(error)) from error
        finally:
            shutil.rmtree(inside, ignore_errors=True)
        partial.chmod(0o644)  # its writer keeps it to this user; others may share the folder


def read_table(path: Path) -> Table | None:
    """The table in a file, mapped into memory after a check of its bytes; None without a file.

    Raises Damaged where the bytes are not those that were written.
    """
    try:
        kind = kind_at(path)
        if kind is None:
            return None
        if kind != "a file":
            raise Damaged(f"it is {kind}, not an ordinary file")
        with safe_open(path, framework="pt") as file:
            facts = _facts(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise Damaged(str(error)) from error
    if content_sha256(tensors) != facts.get("sha256"):
        raise Damaged("its bytes are not those that were written")
    return _table(tensors)


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes, dtypes and values, whatever the order."""
    content = hashlib.sha256()
    for name, x in sorted(tensors.items()):
        content.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        flat = x.detach().cpu().contiguous().reshape(-1)
        content.update(flat.view(torch.uint8).numpy().data)
    return content.hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only process that makes this file; another one waits here until it is there.

    The lock ends with the process that holds it. Where there can be no lock (a file system without,
    a folder that is not writable) two processes make the same file, each whole.
    """
    file = path.with_name(f".{path.stem}.lock")
    # It goes with its holder: one that waits for a removed file looks for the new one.
    lock = FileLock(
        file, poll_interval=POLL_SECONDS, fallback_to_soft=False, preserve_lock_file=True
    )
    with suppress(OSError):
        lock.acquire()
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                file.unlink()
            lock.release()


#: What is there while a file is made, by the file's key.
_UNFINISHED = re.compile(
    rf"\.([0-9a-f]{{64}})({re.escape(ENDING)}\.[0-9a-f]+\.(partial|folder)|\.lock)\Z"
)


def abandoned(folder: Path) -> list[Path]:
    """What killed processes left in a folder of tables: nobody holds the lock of such a file."""
    left = [paths for key, paths in _unfinished(folder) if not is_being_made(folder, key)]
    return [path for paths in left for path in paths]


def is_being_made(folder: Path, key: str) -> bool:
    """Whether a process holds the lock under which a table is made."""
    lock = _lock(folder, key)
    if not os.path.exists(lock.lock_file):
        return False
    try:
        with lock:
            return False
    except OSError:  # also where the time is up
        return True


def clear_abandoned(folder: Path) -> None:
    """Delete what killed processes left in a folder of tables. What cannot be deleted stays."""
    for key, paths in _unfinished(folder):
        lock = _lock(folder, key)
        with suppress(OSError), lock:  # where there are no locks, nobody knows who lives
            _delete([*paths, Path(lock.lock_file)])


def _unfinished(folder: Path) -> list[tuple[str, list[Path]]]:
    """Keys of tables that are or were being made, each with what there is of it."""
    found: dict[str, list[Path]] = {}
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if match := _UNFINISHED.match(name):
                found.setdefault(match[1], []).append(folder / name)
    return list(found.items())


def _lock(folder: Path, key: str) -> FileLock:
    """The lock under which a table is made, which is had at once or not at all: OSError."""
    file = folder / f".{key}.lock"
    return FileLock(file, timeout=0, fallback_to_soft=False, preserve_lock_file=True)


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _facts(metadata: Mapping[str, str] | None) -> dict[str, Any]:  # Any: JSON
    """What is written in the header; nothing in a file that this did not write. Raises Damaged."""
    try:
        facts = json.loads((metadata or {}).get("mmlab", "{}"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its header cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise Damaged("its header holds no facts")
    return facts


def _tensors(table: Table) -> dict[str, Tensor]:
    if isinstance(table, InputTable):
        return {"inputs": table.inputs.cpu().contiguous(), "starts": table.starts}
    features = table.features
    named = {"pooled": features.pooled, "tokens": features.tokens, "mask": features.mask}
    tensors = {name: x.cpu().contiguous() for name, x in named.items() if x is not None}
    return {**tensors, "starts": table.starts}


def _table(tensors: Mapping[str, Tensor]) -> Table:
    if "inputs" in tensors:
        return InputTable(tensors["inputs"], tensors["starts"])
    features = Features.of(tensors["pooled"], tensors.get("tokens"), tensors.get("mask"))
    return FeatureTable(features, tensors["starts"])
