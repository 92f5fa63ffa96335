"""Boxes proposed for pictures: by the dataset, or in a JSON file by sample id."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmlab.errors import DataError, explain
from mmlab.evaluate.detection.scene import Scenes
from mmlab.files import decode_text, read_file
from mmlab.plugin import Box, Proposing

#: Boxes proposed for one picture, at most.
MOST_PROPOSALS = 10_000


def find_proposals(scenes: Scenes, path: Path | None, name: str) -> Mapping[str, Sequence[Box]]:
    """Boxes by sample id, from a file, or from the dataset where there is no file.

    Raises DataError where the dataset proposes none, the file cannot be read, or a box is none.
    """
    if path is not None:
        return _checked(read_proposals(path), str(path))
    if not isinstance(scenes.dataset, Proposing):
        raise no_proposals(name)
    pairs = zip(scenes.ids, scenes.indexes, strict=True)
    found = {sample: tuple(scenes.dataset.proposals(index)) for sample, index in pairs}
    return _checked(found, "proposals of the dataset")


def read_proposals(path: Path) -> dict[str, Sequence[Box]]:
    """A JSON file of {sample id: [[x0, y0, x1, y1], ...]}, boxes in pixels of the picture."""
    try:
        table = json.loads(decode_text(read_file(path)))
    except (OSError, RecursionError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise _refused(str(path), "the proposals cannot be read", found, "a JSON file") from error
    if not isinstance(table, dict):
        found = f"a value of type {type(table).__name__}"
        raise _refused(str(path), "this is no table", found, '{"sample": [[x0, y0, x1, y1]]}')
    return table


def _checked(found: Mapping[str, object], place: str) -> dict[str, Sequence[Box]]:
    checked = dict[str, Sequence[Box]]()
    for sample, boxes in found.items():
        if not isinstance(boxes, list | tuple) or len(boxes) > MOST_PROPOSALS:
            told = f"{len(boxes):,} boxes" if isinstance(boxes, list | tuple) else repr(boxes)[:80]
            allowed = f"a list of up to {MOST_PROPOSALS:,} boxes"
            raise _refused(place, f"no list of boxes for sample {sample!r}", told, allowed)
        wrong = next((box for box in boxes if not _is_box(box)), None)
        if wrong is not None:
            allowed = "[x0, y0, x1, y1] in pixels, 0 <= x0 < x1 and 0 <= y0 < y1"
            told = repr(wrong)[:80]
            raise _refused(place, f"sample {sample!r} has a box that is none", told, allowed)
        checked[sample] = [(float(a), float(b), float(c), float(d)) for a, b, c, d in boxes]
    return checked


def _is_box(box: object) -> bool:
    if not isinstance(box, list | tuple) or len(box) != 4:
        return False
    is_numbers = all(isinstance(at, int | float) and math.isfinite(at) for at in box)
    return is_numbers and 0 <= box[0] < box[2] and 0 <= box[1] < box[3]


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
