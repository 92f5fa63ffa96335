"""Scored regions of many pictures: the first ones in memory, the rest in temporary files."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import torch

from mmlab.errors import RunError, explain
from mmlab.evaluate.detection.found import ScoredRegions
from mmlab.files import Scratch

#: Bytes of scores and boxes that are held in memory.
HELD_BYTES = 1 << 28


class HeldRegions:
    """Regions that are gone through several times, in the order in which they were added.

    Use it in a `with`, which deletes the files. Memory does not grow with the number of pictures
    beyond HELD_BYTES. Raises RunError where no file can be written.
    """

    def __init__(self) -> None:
        self._held: list[ScoredRegions] = []
        self._bytes = 0
        self._files = 0
        self._folder: Scratch | None = None

    def __enter__(self) -> Self:
        """The regions."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete what is held."""
        self._held = []
        if self._folder is not None:
            self._folder.close()

    def add(self, regions: ScoredRegions) -> None:
        """Hold the regions of one more picture."""
        size = regions.boxes.nbytes + regions.scores.nbytes
        if self._folder is None and self._bytes + size <= HELD_BYTES:
            self._held.append(regions)
            self._bytes += size
            return
        boxes = torch.from_numpy(regions.boxes)
        try:
            self._folder = self._folder or Scratch()
            path = self._folder.path / str(self._files)
            torch.save((boxes, regions.scores, regions.size, regions.cells), path)
        except (OSError, RuntimeError) as error:  # torch tells a full disk as the latter
            raise _not_held(error) from error
        self._files += 1

    def __iter__(self) -> Iterator[ScoredRegions]:
        """All of them."""
        yield from self._held
        for number in range(self._files):
            assert self._folder is not None, "it has files"
            path = self._folder.path / str(number)
            boxes, scores, size, cells = torch.load(path, weights_only=True)
            yield ScoredRegions(boxes.numpy(), scores, size, cells)


def _not_held(error: Exception) -> RunError:
    return RunError(
        explain(
            "the folder for temporary files",
            "scores of the validation split's regions cannot be written there",
            found=str(error),
            allowed="a folder with space for all that memory does not hold",
            next_step="set TMPDIR to one that has space, or choose_background = false",
        )
    )
