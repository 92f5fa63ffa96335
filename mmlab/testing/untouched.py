"""Whether what a component is given is as it was when the component is done with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmlab.testing.claims import breach


def fingerprint(value: object) -> str:
    """sha256 of a value's content: tensors, arrays, pictures, texts, numbers, and what holds them.

    Equal contents have equal fingerprints in every process. Of any other object its type counts.
    """
    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:  # Any: a raw value is whatever a dataset gives
    """What a value is made of, as bytes; a container's parts follow its kind and size."""
    if isinstance(value, Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield f"array {value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, Image.Image):
        yield f"picture {value.mode} {value.size}".encode()
        yield value.tobytes()
    elif isinstance(value, bytes):
        yield from (b"bytes", value)
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}".encode()
        for key in sorted(value, key=repr):
            yield repr(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__} {len(value)}".encode()
        for one in value:
            yield from _parts(one)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    elif value is None or isinstance(value, str | int | float):
        yield f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
    else:
        yield f"object {type(value).__qualname__}".encode()


@contextmanager
def untouched(method: str, given: Mapping[str, object]) -> Iterator[None]:
    """Require that the values of these names have the content after the block that they had."""
    before = {name: fingerprint(value) for name, value in given.items()}
    try:
        yield
    finally:
        changed = [name for name, value in given.items() if fingerprint(value) != before[name]]
        if changed:
            breach(
                "a component must not change in place what it is given: others read it after",
                method,
                f"{', '.join(changed)} changed",
                "work on a copy: `x + 1` for `x.add_(1)`, `x.clone()`, `torch.relu(x)` for "
                "`F.relu(x, inplace=True)`",
            )
