"""What takes long to evaluate is kept part by part, so that a killed process costs one part.

RUNS/RUN_ID/parts/ has a file (safetensors) for each part, written in one atomic step; a row of the
database says what it holds and its sha256. Parts are cut between the batches in which things are
encoded anyway, so that results do not depend, bit for bit, on where. They go when the evaluation is
recorded. Parts of the feature cache lie in its folder and need no database: their maker holds a
lock.
"""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from mmlab.errors import RunError, StoreError, WeightsError
from mmlab.evaluate.subject import Make, Piece, Work
from mmlab.hashing import digest
from mmlab.model.weights import load_weights, save_weights
from mmlab.plugin import Sample
from mmlab.runner.coordinator import Coordinator
from mmlab.store import LeaseLost, Part

if TYPE_CHECKING:
    from mmlab.plugin import Boxes

#: The name in a file under which its samples are: JSON, as bytes.
_SAMPLES = "samples"


class PartStore(Protocol):
    """Where it stands which parts an evaluation has, who is at one, and which are done."""

    @property
    def evaluation(self) -> str:
        """The evaluation's identity."""

    def parts(self) -> list[Part]:
        """Those there are, work by work, the first in front."""

    def claim(self, asked: Part) -> Part | None:
        """Take a part; None where it is done, or another process is at it."""

    def finish(self, made: Part) -> bool:
        """Mark a claimed part as done; False if another process has claimed it since."""

    def drop(self, part: Part) -> None:
        """Forget a part whose file is of no use."""


@dataclass(frozen=True)
class PartsOfEvaluation:
    """The parts of an evaluation of a run, of which the coordinator knows."""

    coordinator: Coordinator
    run_id: str
    evaluation: str

    def parts(self) -> list[Part]:
        """Those there are."""
        return self.coordinator.parts(self.run_id, self.evaluation)

    def claim(self, asked: Part) -> Part | None:
        """Take a part. LeaseLost where the run is another process's."""
        return self.coordinator.claim_part(self.run_id, asked)

    def finish(self, made: Part) -> bool:
        """Mark a claimed part as done. LeaseLost where the run is another process's."""
        return self.coordinator.finish_part(self.run_id, made)

    def drop(self, part: Part) -> None:
        """Forget a part. LeaseLost where the run is another process's."""
        self.coordinator.drop_part(self.run_id, part)


@dataclass
class KeptParts:
    """Keeps the parts of one evaluation: `name` is what a person hears it called.

    Files lie in `folder`, and `store` names them relative to `root`. `made_with` gives all that
    decides what is made but the data: the weights, and how they are run. A part has `size` items,
    or as many as take so many `seconds`. LeaseLost ends the work where the run is another
    process's; whatever else keeps a part from being kept is told, and costs that part alone.
    """

    store: PartStore
    root: Path
    folder: Path
    name: str
    made_with: Callable[[], Mapping[str, object]]
    tell: Callable[[str], None]
    seconds: float
    size: int | None = None
    _told: set[str] = field(default_factory=set, init=False)

    def each(self, work: Work, make: Make) -> Iterator[Piece]:
        """All pieces: first those that were kept, with what lies between them, then the rest."""
        first, named = 0, self._named(work)
        found = self._found(named)
        if found:
            known = sum(part.count for part in found if part.path)
            self.tell(f"{self.name}: goes on, {known:,} of {work.count:,} are kept ({work.name})")
        for part in found:
            if part.first > first:
                between = replace(named, first=first, count=part.first - first)
                yield from self._made(work, between, make(first))
            kept = self._read(part)
            yield from self._made(work, part, make(part.first)) if kept is None else [kept]
            first = part.first + part.count
        if first < work.count:
            size = self.size or (found[0].count if found else 0)
            rest = replace(named, first=first)
            yield from self._rest(work, rest, make(first), -(-size // work.step) * work.step)

    def go_on(self, work: Work, made: list[Piece], pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The rest of a work that turned out to take long; `made` becomes its first part."""
        size = sum(piece.count for piece in made)
        if size < work.count:
            part = replace(self._named(work), count=size)
            self._keep(part, self._claim(part), made)
            yield from self._rest(work, replace(part, first=size), pieces, size)

    def _named(self, work: Work) -> Part:
        """The beginning of a work, whose name has hashes of all that it depends on."""
        about = digest({"about": work.about(), "count": work.count})
        named = f"{work.name} {about[:16]} {self._made_with[:16]}"
        return Part(self.store.evaluation, named, 0, 0, 0)

    @cached_property
    def _made_with(self) -> str:
        return digest(self.made_with())

    def _found(self, named: Part) -> list[Part]:
        """The parts that were made of a work, and those between them that were not.

        What was made with other weights, on another device or by other code goes.
        """
        try:
            rows = self.store.parts()
            self._drop_stale(rows)
        except LeaseLost:
            raise
        except StoreError as error:  # the evaluation itself can go on
            self._say_not_kept(error)
            return []
        found = [part for part in rows if part.work == named.work]
        while found and found[-1].path is None:  # was under way: it is claimed anew
            found.pop()
        end, whole = 0, list[Part]()
        for part in found:
            if part.first >= end:  # else it was claimed when parts were smaller
                whole.append(part)
                end = part.first + part.count
        return whole

    def _drop_stale(self, rows: Sequence[Part]) -> None:
        stale = [part for part in rows if not part.work.endswith(self._made_with[:16])]
        for part in stale:
            self._drop(part)
        if stale:
            some = "1 part is" if len(stale) == 1 else f"{len(stale)} parts are"
            self.tell(
                f"{self.name}: {some} made again, with the weights, the device and the code of now"
            )

    def _rest(self, work: Work, part: Part, pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
        """Pieces from a part on; a size of 0 is not known yet. A single part is not kept."""
        while part.first < work.count:
            part = replace(part, count=min(size or work.count, work.count - part.first))
            part = replace(part, number=part.first // work.step)
            claimed = self._claim(part) if part.first or part.count < work.count else None
            made = list[Piece]()
            yield from _taken(pieces, made, part.count, self.seconds if not size else math.inf)
            part = replace(part, count=sum(piece.count for piece in made))
            if part.first or part.count < work.count:
                self._keep(part, claimed, made)
            size = size or part.count
            part = replace(part, first=part.first + part.count)

    def _made(self, work: Work, part: Part, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces of one part between others."""
        part = Part(part.evaluation, part.work, part.first // work.step, part.first, part.count)
        claimed, made = self._claim(part), list[Piece]()
        yield from _taken(pieces, made, part.count, math.inf)
        self._keep(part, claimed, made)

    def _claim(self, part: Part) -> Part | None:
        try:
            return self.store.claim(part)
        except LeaseLost:
            raise
        except StoreError as error:
            self._say_not_kept(error)
            return None

    def _keep(self, part: Part, claimed: Part | None, made: list[Piece]) -> None:
        """Write a part, unless another process is at it or has made it."""
        claimed = claimed or self._claim(part)  # whoever had it may be dead by now
        if claimed is None:
            return
        name = f"{part.work[-12:]}-{part.first:012d}-{uuid.uuid4().hex[:8]}.safetensors"
        path, is_kept = self.folder / name, False
        try:
            sha256 = save_weights(path, _tensors(made))
            named = path.relative_to(self.root).as_posix()
            whole = replace(claimed, count=part.count, path=named, sha256=sha256)
            is_kept = self.store.finish(whole)
        except LeaseLost:
            raise
        except (RunError, StoreError) as error:  # as above
            self._say_not_kept(error)
        finally:
            if not is_kept:
                path.unlink(missing_ok=True)

    def _say_not_kept(self, error: Exception) -> None:
        said = str(error)
        if said not in self._told:
            self._told.add(said)
            self.tell(f"{self.name}: a part is not kept, and would have to be made again: {said}")

    def _read(self, part: Part) -> Piece | None:
        """What was made of a part; None where that is not known, or its file is damaged."""
        if part.path is None or part.sha256 is None:
            return None
        path = self.root / part.path
        try:
            return _piece(part.count, load_weights(path, part.sha256))
        except WeightsError as error:
            with suppress(OSError):  # it may not be there
                path.rename(path.with_name(f"corrupt-{path.name}"))
            self._drop(part)
            self.tell(f"{self.name}: a part is made again, for its file is set aside: {error}")
            return None

    def _drop(self, part: Part) -> None:
        self.store.drop(part)
        if part.path is not None:
            (self.root / part.path).unlink(missing_ok=True)


def _taken(
    pieces: Iterator[Piece], made: list[Piece], count: int, seconds: float
) -> Iterator[Piece]:
    """The next pieces, which go into `made`: so many items, or fewer once time is up."""
    until = time.monotonic() + seconds
    for piece in pieces:
        yield piece
        made.append(piece)
        count -= piece.count
        if count <= 0 or time.monotonic() >= until:
            return
    raise AssertionError("a work has as many items as it says")


def _tensors(made: list[Piece]) -> dict[str, Tensor]:
    """Pieces as the tensors of one file."""
    names = list(made[0].tensors)
    tensors = {name: torch.cat([piece.tensors[name].cpu() for piece in made]) for name in names}
    samples = [sample for piece in made for sample in piece.samples]
    if samples:
        content = bytearray(json.dumps([_row(sample) for sample in samples]).encode())
        tensors[_SAMPLES] = torch.frombuffer(content, dtype=torch.uint8)
    return tensors


def _piece(count: int, tensors: Mapping[str, Tensor]) -> Piece:
    """What tensors of a file are: the inverse of `_tensors`."""
    content = tensors[_SAMPLES].numpy().tobytes() if _SAMPLES in tensors else b"[]"
    samples = [_sample(*row) for row in json.loads(content)]
    return Piece(count, {name: x for name, x in tensors.items() if name != _SAMPLES}, samples)


def _row(sample: Sample) -> list[object]:
    """What a piece says of a sample, as JSON takes it: boxes last, where they are known."""
    known = [] if sample.boxes is None else [astuple(sample.boxes)]
    return [sample.id, dict(sample.values), sample.labels, sample.targets, *known]


def _sample(
    id: str,
    values: Mapping[str, Sequence[object]],
    labels: Sequence[int] | None,
    targets: Sequence[float],
    boxes: Sequence[Sequence[Any]] | None = None,  # Any: columns of boxes, of several types
) -> Sample:
    """The inverse of `_row`."""
    return Sample(
        id,
        {modality: tuple(captions) for modality, captions in values.items()},
        None if labels is None else tuple(labels),
        tuple(targets),
        None if boxes is None else _boxes(*boxes),
    )


def _boxes(corners: Sequence[Sequence[float]], *columns: Sequence[Any]) -> Boxes:
    from mmlab.plugin import Boxes  # of a sample without boxes nothing is to be imported

    rows = ((x0, y0, x1, y1) for x0, y0, x1, y1 in corners)
    return Boxes(tuple(rows), *map(tuple, columns))


class FolderParts:
    """The parts of one work, whose files' names say all: for a process that holds a lock."""

    evaluation = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def parts(self) -> list[Part]:
        """Those that are done, the first in front."""
        found = [_NAMED.fullmatch(path.name) for path in self.folder.glob("part-*")]
        parts = [
            Part(
                self.evaluation,
                f"{match['name']} {match['hash'].replace('-', ' ')}",
                int(match["first"]),
                int(match["first"]),
                int(match["count"]),
                path=match[0],
                sha256=match["sha256"],
            )
            for match in found
            if match is not None
        ]
        return sorted(parts, key=lambda part: part.first)

    def claim(self, asked: Part) -> Part:
        """The part: nobody else can be at it."""
        return asked

    def finish(self, made: Part) -> bool:
        """Name its file so that it is found."""
        assert made.path is not None, "only what has a file is done"
        work = made.work.replace(" ", "-")
        name = f"part-{work}-{made.first}-{made.count}-{made.sha256}.safetensors"
        (self.folder / made.path).rename(self.folder / name)
        return True

    def drop(self, part: Part) -> None:
        """Nothing: its file goes."""


_NAMED = re.compile(
    r"part-(?P<name>\w+)-(?P<hash>[0-9a-f-]{33})-(?P<first>\d+)-(?P<count>\d+)"
    r"-(?P<sha256>[0-9a-f]{64})\.safetensors"
)


def kept_in_folder(
    folder: Path, name: str, tell: Callable[[str], None], seconds: float
) -> KeptParts:
    """What keeps the parts of one work, of which a folder says all."""
    return KeptParts(FolderParts(folder), folder, folder, name, dict, tell, seconds)
