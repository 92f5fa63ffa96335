"""A process that is frozen amid a write, while another does its run: it comes back and stops."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from support.lab import Lab
from support.stopped import expire_leases, left, stop, twin

#: 18 steps.
LONG = ("train.epochs=6", "train.emit_every=2", "train.checkpoint_every=3")
#: The call in which the first process is frozen, of what name, and how many of these it has made.
AMID = {
    "a checkpoint, not begun": ("mkdir", r"\.tmp-[0-9a-f]{32}", 1),
    "a checkpoint ahead of the other": ("mkdir", r"\.tmp-[0-9a-f]{32}", 2),
    "a checkpoint, begun": ("fsync", r"tensors\.safetensors", 1),
    "a checkpoint, nearly done": ("fsync", r"manifest\.json", 1),
    "the best weights, not begun": ("mkdir", "[0-9a-f]{32}", 2),
    "the best weights": ("fsync", r"\.best\..*", 1),
    "the final weights": ("fsync", r"\.final\..*", 0),
}


@contextmanager
def frozen_at(
    call: str, name: str, count: int, meanwhile: Callable[[], object]
) -> Iterator[list[str]]:
    """Something happens in such a call on a path of this name, once."""
    plain, seen, done = getattr(os, call), list[str](), list[str]()

    def wait(place: int | str, *given: object) -> None:
        path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else str(place)
        if re.fullmatch(name, Path(path).name) and not done:
            seen.append(path)
            if len(seen) > count:
                done.append(path)
                meanwhile()
        plain(place, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, wait)
        yield done


@pytest.mark.slow
@pytest.mark.parametrize("amid", AMID)
def test_what_it_was_writing_gets_no_name_and_the_other_keeps_its_own(
    sqlite_lab: Lab, amid: str
) -> None:
    other = twin(sqlite_lab, "frozen")
    expected = sqlite_lab.run_one(sqlite_lab.write("cell"), *LONG)
    spec, files = other.write("cell"), dict[Path, int]()

    def work() -> None:
        expire_leases(other.db)
        if "ahead" in amid:  # it has no checkpoint of its own when it stops
            return stop(other, spec, 4, *LONG)
        assert other.statuses(spec, *LONG) == ["done"]
        files.update(inodes(other))

    with frozen_at(*AMID[amid], work) as done:
        (outcome,) = other.run(spec, *LONG, waits=False)
    assert done, "it was frozen"
    if "ahead" in amid:
        assert outcome.status == "held"
        assert other.statuses(spec, *LONG) == ["done"]
        assert not [note for note in other.shown.notes if "damaged" in note]
    else:
        assert outcome.status == "skipped", "the other has done it"
    detail = other.detail("cell")
    assert detail.attempts[0].outcome == "lost"
    assert detail.attempts[-1].outcome == "ok"
    assert files in ({}, inodes(other))
    one, two = sqlite_lab.weights(expected), other.weights(detail)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert left(other)["metrics"] == left(sqlite_lab)["metrics"]


def inodes(lab: Lab) -> dict[Path, int]:
    """Every file and folder of runs, and which it is: one that was replaced is another."""
    return {path: path.stat().st_ino for path in lab.runs.rglob("*") if "spool" not in path.parts}
