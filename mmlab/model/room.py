"""Whether a cell's parameters, and what its optimiser keeps of them, fit into free memory.

Components are measured before they are made, on torch's meta device, which takes no memory.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mmlab.errors import RunError
from mmlab.plan.component import Resolved
from mmlab.plan.options import has_sizes
from mmlab.plan.plan import Plan

T = TypeVar("T")


def free_bytes(device: torch.device) -> int:
    """Bytes that this process may yet take there; of the CPU's, by the system and all limits."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    return max(0, min(_available(), _below_address_limit(), *control_group_rooms()))


def _available() -> int:
    """What the system can give, its caches included; without end where it does not say."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return sys.maxsize


def _below_address_limit() -> int:
    """What `ulimit -v` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return limit - pages * resource.getpagesize()
    return limit


def control_group_rooms(
    mount: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What the limits of containers and of a batch system's jobs leave, of each group around us.

    What the system keeps of files there can be given back, and counts as free.
    """
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = own.read_text().splitlines()
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            names, root = ("memory.max", "memory.current", ""), mount
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
            root = mount / "memory"
        else:
            continue
        inside = root / path.strip("/")
        for folder in (inside, *inside.parents):
            if folder == root or root in folder.parents:
                with suppress(OSError, ValueError):  # no limit: "max", or no such file
                    yield _room(folder, *names)


def _room(folder: Path, limit: str, used: str, prefix: str) -> int:
    most, taken = (int((folder / name).read_text()) for name in (limit, used))
    facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    kept = (int(facts.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))
    return most - taken + sum(kept)


#: Numbers that any machine holds: a component of fewer is made without being measured first.
UNASKED = 1 << 24


@dataclass(frozen=True)
class Part:
    """What a component takes: how many parameters, their bytes, and those of the trained ones."""

    parameters: int
    size: int
    trained: int

    @classmethod
    def of(cls, module: object, *, learns: bool = True) -> Part:
        """The size of a module, which may be on the meta device; none of anything else."""
        found = list(module.parameters()) if isinstance(module, nn.Module) else []
        trained = sum(p.nbytes for p in found if p.requires_grad and learns)
        return cls(sum(p.numel() for p in found), sum(p.nbytes for p in found), trained)


class Room:
    """The memory that a cell's parameters, and what its optimiser keeps of them, must fit into.

    `free` gives the free bytes of a device; `processes` each keep a share of what is sharded.
    Components of less than `unasked` numbers are made at once, and count when they are there.
    """

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        processes: int = 1,
        free: Callable[[torch.device], int] = free_bytes,
        unasked: int = UNASKED,
    ) -> None:
        table = plan.cell.spec.train
        self.plan, self.device, self.free, self.unasked = plan, device, free, unasked
        self.shares = processes if table is not None and table.parallel == "fsdp" else 1
        # A gradient, the optimiser's own numbers, an average: each as large as what is trained.
        self.copies = 0 if table is None else 1 + _kept_by(plan) + (table.ema is not None)
        self._made: dict[str, Part] = {}

    def making(self, key: str, resolved: Resolved, make: Callable[[], T]) -> T:
        """What `make` makes. Raises RunError("oom") before a large component that does not fit.

        It is measured on the meta device, unless it is an encoder of fixed size, or cannot be made
        there: `fits` then says so, when it is made.
        """
        made = self._made_if_small(make)
        if made is None:
            if resolved.entry.kind != "encoder" or has_sizes(resolved.factory):
                measured = Part.of(_without_values(make), learns=self._learns(key))
                self._require({**self._made, key: measured}, measured.size)
            made = make()
        self._made[key] = Part.of(made, learns=self._learns(key))
        return made

    def fits(self) -> None:
        """Raise RunError("oom") where what is made, on the CPU, cannot be trained on the device."""
        self._require(self._made, 0)

    def _made_if_small(self, make: Callable[[], T]) -> T | None:
        try:
            with _Few(self.unasked):
                return make()
        except _Many:
            return None

    def _learns(self, key: str) -> bool:
        """Whether all of a component is trained; what is trained of another one is little."""
        kind, _, name = key.partition(".")
        if kind != "encoders":
            return True
        table = self.plan.cell.spec.encoders[name]
        return table.freeze is False and table.lora is None

    def _require(self, parts: Mapping[str, Part], planned: int) -> None:
        """Compare parts with what is free; so many bytes of them are yet to be taken."""
        copies = self.copies * sum(part.trained for part in parts.values())
        if self.device.type == "cpu":
            self._compare(planned + copies // self.shares, self.device, parts)
            return
        there = sum(part.size for part in parts.values()) + copies
        self._compare(planned, torch.device("cpu"), parts)
        self._compare(there // self.shares, self.device, parts)

    def _compare(self, needed: int, device: torch.device, parts: Mapping[str, Part]) -> None:
        free = self.free(device)
        if needed <= free:
            return
        count = sum(part.parameters for part in parts.values())
        message = self.plan.explain(
            max(parts, key=lambda key: parts[key].size).split("."),
            "there is too little memory for the parameters of this model"
            + (" and for what training keeps of each" if self.copies else ""),
            found=f"at least {needed:,} bytes needed for {count:,} parameters, most of them here",
            allowed=f"{free:,} bytes: what is free on {device}",
            next_step="set smaller widths or depths there, or use a machine with more memory",
        )
        raise RunError(message, "oom")


def _kept_by(plan: Plan) -> int:
    """How many numbers the optimiser keeps for each that it changes, at least."""
    optimizer = plan.optimizer
    if optimizer is None or optimizer.options.get("momentum") == 0:
        return 0
    return int(getattr(optimizer.factory, "copies", 0))


class _Many(BaseException):
    """A component asks for more numbers than are made unasked; no component means to catch it."""


class _Few(TorchFunctionMode):
    """Counts the numbers that are asked of torch, and raises before there are too many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function, unless it makes too many."""
        if func in _MAKERS:
            sizes = (kwargs or {}).get("size", args[0] if args and _is_sizes(args[0]) else args)
            self.left -= math.prod(size for size in sizes if isinstance(size, int))
            if self.left < 0:
                raise _Many
        return func(*args, **(kwargs or {}))


#: What makes tensors of given sizes.
_MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full})


def _is_sizes(value: object) -> bool:
    return isinstance(value, tuple | list)


def _without_values(make: Callable[[], T]) -> T | None:
    """What is made on the meta device; None where making it reads values, or it cannot be made."""
    try:
        with torch.device("meta"):
            return make()
    except Exception:  # making it in earnest says what is wrong, where anything is
        return None
