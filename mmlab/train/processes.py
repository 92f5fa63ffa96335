"""Processes that train one model together, as torchrun starts them: who is who, and what they tell.

Every process walks the same line; the main one, rank 0, alone touches the database, writes files
and prints. What is decided there reaches the others as messages, through the store of keys that
torchrun keeps. Without torchrun there is a group of one, to which none of this costs anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from textwrap import indent

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from mmlab.errors import GroupError, LostError, RunError, explain
from mmlab.train import torchrun

#: A process that shows no sign of life for so long is given up, and the group with it.
TIMEOUT_SECONDS = 120.0


class ProcessGroup:
    """One process' view of its group; by default it is alone.

    Waiting for a message may take as long as the other's work does: a thread of every process
    shows that it lives. Raises GroupError once one does not.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        store: Store | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.rank = rank
        self.size = size
        self.timeout_seconds = timeout_seconds
        self._store = store
        self._told = self._exchanged = 0
        self._is_over = threading.Event()

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def broadcast(self, message: str) -> None:
        """Give all others the next message; the main process does."""
        self._told += 1
        self._set(f"told/{self._told}", message)

    def receive(self) -> str:
        """The main process' next message."""
        self._told += 1
        return self._wait(f"told/{self._told}", 0)

    def exchange(self, text: str) -> list[str]:
        """Everybody's text, by rank; every process takes part."""
        if self._store is None:
            return [text]
        number = self.leave(text)
        return [self._wait(f"exchanged/{number}/{rank}", rank) for rank in range(self.size)]

    def leave(self, text: str) -> int:
        """Take part in the next exchange without waiting for the others' texts."""
        self._exchanged += 1
        self._set(f"exchanged/{self._exchanged}/{self.rank}", text)
        return self._exchanged

    def same(self, values: Mapping[str, float]) -> dict[str, float]:
        """The main process' numbers in place of one's own, which may differ in their last digit."""
        if self.size == 1:
            return dict(values)
        numbers = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.broadcast(numbers, 0)
        return dict(zip(values, numbers.tolist(), strict=True))

    def any(self, *flags: bool) -> list[bool]:
        """Whether each of these holds for one process or more; every process takes part."""
        if self.size == 1:
            return list(flags)
        found = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return [bool(flag) for flag in found.tolist()]

    def spread(self, data: bytes) -> bytes:
        """The main process' bytes, for all; what the others give does not matter."""
        if self.size == 1:
            return data
        size = torch.tensor([len(data)])
        dist.broadcast(size, 0)
        content = _tensor(data) if self.is_main else torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(content, 0)
        return data if self.is_main else content.numpy().tobytes()

    def collect(self, data: bytes) -> list[bytes]:
        """Everybody's bytes by rank for the main process, for the others nothing."""
        if not self.is_main:
            dist.send(torch.tensor([len(data)]), 0)
            dist.send(_tensor(data), 0)
            return []
        return [data, *(_receive(rank) for rank in range(1, self.size))]

    def barrier(self) -> None:
        """Wait until the main process goes on too. Raises RunError("stopped") if it has stopped."""
        if self.size > 1 and not self._flag(True):
            raise RunError(
                explain(
                    "training",
                    "the main process has stopped it",
                    found=f"rank {self.rank} of {self.size} was told to stop",
                    allowed="processes that stop together",
                    next_step="look at what the main process says",
                ),
                "stopped",
            )

    def stop(self) -> None:
        """Tell the others, who call `barrier`, that the main process goes no further."""
        if self.size > 1 and self.is_main:
            self._flag(False)

    def _flag(self, mine: bool) -> bool:
        flag = torch.tensor([mine])
        dist.broadcast(flag, 0)
        return bool(flag)

    def _set(self, key: str, value: str) -> None:
        if self._store is not None:
            with suppress(RuntimeError):  # the store is gone; whoever waits for it says so
                self._store.set(key, value)

    def _wait(self, key: str, rank: int) -> str:
        """The value of a key that another process sets, for as long as that one lives."""
        assert self._store is not None, "only a group of several waits"
        pause, beat, since = 0.001, -1, time.monotonic()
        while not self._has(key):
            found, now = self._store.add(f"alive/{rank}", 0), time.monotonic()
            if found != beat:
                beat, since = found, now
            elif now - since > self.timeout_seconds:
                raise _lost(rank, f"no sign of life for {self.timeout_seconds:g} s")
            time.sleep(pause)
            pause = min(0.05, 1.5 * pause)
        value: bytes = self._store.get(key)
        return value.decode()

    def _has(self, key: str) -> bool:
        assert self._store is not None, "only a group of several waits"
        try:
            return bool(self._store.check([key]))
        except RuntimeError as error:  # the process that kept the store has gone
            raise _lost(0, f"its store of messages is gone: {error}") from error

    @contextmanager
    def showing_life(self) -> Iterator[None]:
        """Let a thread count up while the block runs, so that others wait for this process."""
        thread = threading.Thread(target=self._show_life, name="mmlab-group", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _show_life(self) -> None:
        assert self._store is not None, "only a group of several shows life"
        with suppress(RuntimeError):  # the store has gone with the process that kept it
            self._store.add(f"alive/{self.rank}", 1)
            while not self._is_over.wait(self.timeout_seconds / 4):
                self._store.add(f"alive/{self.rank}", 1)


def _tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _receive(rank: int) -> bytes:
    size = torch.zeros(1, dtype=torch.int64)
    dist.recv(size, rank)
    content = torch.empty(int(size), dtype=torch.uint8)
    dist.recv(content, rank)
    return content.numpy().tobytes()


@contextmanager
def open_group(timeout_seconds: float) -> Iterator[ProcessGroup]:
    """The group that torchrun has put this process into, or a group of one.

    No collective operation and no wait for a process that is silent lasts longer than the timeout.
    """
    if torchrun.world_size() == 1:
        yield ProcessGroup()
        return
    timeout = timedelta(seconds=timeout_seconds)
    store, rank, size = next(rendezvous("env://", timeout=timeout))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(
        backend,
        store=PrefixStore("torch", store),
        rank=rank,
        world_size=size,
        timeout=timeout,
    )
    group = ProcessGroup(rank, size, PrefixStore("mmlab", store), timeout_seconds)
    with group.showing_life():
        yield group
    dist.destroy_process_group()  # not after an error: others may never come to it


def require_equal(group: ProcessGroup, identity: str) -> None:
    """Raise GroupError on every process unless all give the same; `identity` is a hash, say."""
    identities = group.exchange(identity)
    others = [str(rank) for rank, found in enumerate(identities) if found != identities[0]]
    if not others:
        return
    raise GroupError(
        explain(
            "torchrun",
            "the processes of this group do not have the same to do",
            found=f"rank {', '.join(others)} differs from rank 0",
            allowed="one command, and the same specs, plugins, data and weights for all",
            next_step="give every process and machine the same; the first error above may say more",
        )
    )


def vote(group: ProcessGroup, error: str | None) -> None:
    """End a cell together, each with its error if it failed. Raises GroupError if all must end.

    They can go on where all are done, and where all have failed in the same place: one more
    collective operation shows that.
    """
    errors = group.exchange(error or "")
    if not any(errors) or (all(errors) and _answers(group)):
        return
    ends = [f"rank {rank} {'failed' if text else 'is done'}" for rank, text in enumerate(errors)]
    first = next(filter(None, errors))
    raise GroupError(
        explain(
            "torchrun",
            "the processes of this group have come apart, and all of them end",
            found=f"{', '.join(ends)}; the first error:\n{indent(first, '    ')}",
            allowed="processes that do the same",
            next_step="correct that error, then run again: what is done is kept",
        )
    )


def _answers(group: ProcessGroup) -> bool:
    """Whether a collective operation still works."""
    if group.size == 1:
        return True
    try:
        dist.all_reduce(torch.zeros(1))
    except RuntimeError:  # what every backend raises once a process is missing
        return False
    return True


def _lost(rank: int, found: str) -> LostError:
    return LostError(
        explain(
            "torchrun",
            f"the process of rank {rank} has ended or hangs",
            found=found,
            allowed="processes that live until the group is done",
            next_step="read what that process said, then run again: what is done is kept",
        )
    )
