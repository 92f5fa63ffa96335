"""A table on disk: safetensors, mapped into memory, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmlab.data.tables import FeatureTable, InputTable, Table
from mmlab.files import atomic_file
from mmlab.plugin import Features

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
        try:
            save_file(tensors, partial, {"mmlab": json.dumps(facts)})
        except SafetensorError as error:  # what its writer makes of a full disk, say
            raise OSError(str(error)) from error
        partial.chmod(0o644)  # its writer keeps it to this user; others may share the folder


def read_table(path: Path) -> Table | None:
    """The table in a file, mapped into memory after a check of its bytes; None without a file.

    Raises Damaged where the bytes are not those that were written.
    """
    if not path.exists():
        return None
    try:
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
