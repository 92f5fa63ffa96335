"""Boxes proposed for pictures: by the dataset, or in a JSON file by sample id."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmlab.errors import DataError, explain
from mmlab.evaluate.detection.scene import Scenes
from mmlab.evaluate.prompts import without_repetition
from mmlab.files import decode_text, open_file
from mmlab.plugin import Box, Boxes, Proposing

#: Boxes proposed for one picture, at most.
MOST_PROPOSALS = 10_000
#: Bytes of a file of proposals, at most.
FILE_BYTES = 1 << 30
#: How far a box may reach over the picture's edge, in pixels, as detectors round; it is then cut.
OVERHANG = 1.0


def find_proposals(scenes: Scenes, path: Path | None, name: str) -> Mapping[str, Sequence[Box]]:
    """Boxes by sample id, from a file, or from the dataset where there is no file.

    Raises DataError where the dataset proposes none, the file cannot be read or is about none of
    the samples, or a box is none.
    """
    if path is not None:
        found = _checked(read_proposals(path), str(path))
        if not found.keys() & set(scenes.ids):
            fault = "it proposes boxes for no sample of the split"
            told = f"{len(found):,} samples" + "".join(f", such as {one!r}" for one in [*found][:1])
            raise _refused(str(path), fault, told, f"ids such as {scenes.ids[0]!r}")
        return found
    if not isinstance(scenes.dataset, Proposing):
        raise no_proposals(name)
    pairs = zip(scenes.ids, scenes.indexes, strict=True)
    brought = {sample: tuple(scenes.dataset.proposals(index)) for sample, index in pairs}
    return _checked(brought, "proposals of the dataset")


def read_proposals(path: Path) -> dict[str, Sequence[Box]]:
    """A JSON file of {sample id: [[x0, y0, x1, y1], ...]}, boxes in pixels of the picture."""
    try:
        with open_file(path) as file:
            content = file.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise ValueError(f"it is too long: over {FILE_BYTES:,} bytes")
        table = json.loads(decode_text(content), object_pairs_hook=without_repetition)
    except (OSError, RecursionError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise _refused(str(path), "the proposals cannot be read", found, "a JSON file") from error
    if not isinstance(table, dict):
        found = f"a value of type {type(table).__name__}"
        raise _refused(str(path), "this is no table", found, '{"sample": [[x0, y0, x1, y1]]}')
    return table


def within(boxes: Sequence[Box], size: tuple[int, int], sample: str) -> tuple[Box, ...]:
    """Proposals as boxes of a picture (width, height), cut where they reach a little over its edge.

    Raises DataError where one lies outside of it, or all are in shares of it.
    """
    cut = tuple(_cut(box, size) for box in boxes)
    Boxes(cut, (0,) * len(cut)).check(f"proposals of sample {sample!r}", 1, size)
    return cut


def _cut(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    x0, y0, x1, y1 = box
    inside = (x0, y0, min(x1, float(width)), min(y1, float(height)))
    return inside if max(x1 - inside[2], y1 - inside[3]) <= OVERHANG else box


def _checked(found: Mapping[str, object], place: str) -> dict[str, Sequence[Box]]:
    checked = dict[str, Sequence[Box]]()
    for sample, boxes in found.items():
        if not isinstance(boxes, list | tuple) or len(boxes) > MOST_PROPOSALS:
            told = f"{len(boxes):,} boxes" if isinstance(boxes, list | tuple) else repr(boxes)[:80]
            allowed = f"a list of up to {MOST_PROPOSALS:,} boxes"
            raise _refused(place, f"no list of boxes for sample {sample!r}", told, allowed)
        read = [_as_box(box) for box in boxes]
        known = [box for box in read if box is not None]
        if len(known) < len(read):
            allowed = "[x0, y0, x1, y1] in pixels, 0 <= x0 < x1 and 0 <= y0 < y1"
            told = repr(boxes[read.index(None)])[:80]
            raise _refused(place, f"sample {sample!r} has a box that is none", told, allowed)
        checked[sample] = known
    return checked


def _as_box(box: object) -> Box | None:
    """Four numbers that are a box, cut where they begin a little outside; None for all else."""
    if not isinstance(box, list | tuple) or len(box) != 4:
        return None
    if not all(isinstance(at, int | float) and not isinstance(at, bool) for at in box):
        return None
    try:
        x0, y0, x1, y1 = map(float, box)
    except OverflowError:  # a whole number that no float holds
        return None
    x0, y0 = (max(at, 0.0) if at >= -OVERHANG else at for at in (x0, y0))
    is_box = 0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf
    return (x0, y0, x1, y1) if is_box else None


def no_proposals(name: str) -> DataError:
    """Nobody proposes boxes."""
    return DataError(
        explain(
            f"evaluate.{name}.regions",
            "nothing proposes boxes",
            found="regions 'proposals' without a file, and a dataset that proposes none",
            allowed="a file of proposals, or a dataset that brings them",
            next_step=f'set evaluate.{name}.proposals, or regions = "windows"',
        )
    )


def _refused(place: str, fault: str, found: str, allowed: str) -> DataError:
    return DataError(
        explain(place, fault, found=found, allowed=allowed, next_step="correct the proposals")
    )
