"""Facts of the bounding boxes of a split: how many, of which labels, of which sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan

from mmlab.data.facts import Range, Unreadable, in_short
from mmlab.data.samples import NamedSplit, has_boxes, target_names
from mmlab.data.skipped import READ_ERRORS
from mmlab.plugin import Boxes, Dataset, Sample

#: COCO's bounds of areas in square pixels: a small box is below the first, a large one not below
#: the second.
SMALL, LARGE = 32.0**2, 96.0**2

#: Boxes of a sample that are shown.
SHOWN = 3


@dataclass(frozen=True)
class BoxFacts:
    """Boxes of all samples of a split, by label and by size, as COCO has sizes.

    `known` samples say what is in their pictures, `empty` of them that nothing is. `width` and
    `height` are in pixels. `unreadable` are samples of which a box is none.
    """

    known: int
    empty: int
    boxes: int
    labels: Mapping[str, int]
    crowd: int
    difficult: int
    sizes: Mapping[str, int]
    width: Range | None
    height: Range | None
    unreadable: Unreadable


@dataclass
class Look:
    """Looks at samples; of one of which a box is none, it gives what stands for it and says why."""

    dataset: Dataset
    look: Callable[[int], Sample]
    failed: dict[int, str] = field(default_factory=dict)

    def __call__(self, index: int) -> Sample:
        """The sample without its large values."""
        try:
            return self.look(index)
        except READ_ERRORS as error:
            self.failed.setdefault(index, in_short(error))
            unknown = (nan,) * len(target_names(self.dataset))
            return Sample(f"position {index}", {}, None, unknown)


def read_box_facts(part: NamedSplit) -> BoxFacts | None:
    """Facts of all samples of a split; None where its dataset has no boxes."""
    dataset = part.dataset
    if not has_boxes(dataset) or part.look is None:
        return None
    look, labels, sizes = Look(dataset, part.look), Counter[int](), Counter[str]()
    widths, heights = list[float](), list[float]()
    known = empty = crowd = difficult = 0
    for index in range(len(dataset)):
        boxes = look(index).boxes
        if boxes is None:
            continue
        known, empty = known + 1, empty + (len(boxes) == 0)
        crowd, difficult = crowd + sum(boxes.crowd), difficult + sum(boxes.difficult)
        labels.update(boxes.labels)
        sizes.update(map(size_of, boxes.areas))
        widths += [x1 - x0 for x0, _, x1, _ in boxes.corners]
        heights += [y1 - y0 for _, y0, _, y1 in boxes.corners]
    failed = part.look.failed if isinstance(part.look, Look) else look.failed
    return BoxFacts(
        known=known,
        empty=empty,
        boxes=len(widths),
        labels={dataset.labels[label]: count for label, count in labels.most_common()},
        crowd=crowd,
        difficult=difficult,
        sizes={name: sizes[name] for name in ("small", "medium", "large")},
        width=Range.of(widths),
        height=Range.of(heights),
        unreadable=Unreadable(len(failed), next(iter(failed.values()), "")),
    )


def size_of(area: float) -> str:
    """The size of a box by its area in square pixels.

    >>> size_of(1023.0), size_of(1024.0), size_of(9216.0)
    ('small', 'medium', 'large')
    """
    return "small" if area < SMALL else "medium" if area < LARGE else "large"


def in_words(boxes: Boxes, labels: Sequence[str]) -> str:
    """The first boxes with their labels, and how many there are.

    >>> in_words(Boxes(((0.0, 2.0, 4.5, 6.0),), (1,)), ("cat", "dog"))
    '1: dog (0, 2, 4.5, 6)'
    """
    pairs = zip(boxes.corners, boxes.labels, strict=True)
    told = [f"{labels[label]} ({', '.join(f'{x:g}' for x in box)})" for box, label in pairs]
    more = ", ..." if len(told) > SHOWN else ""
    return f"{len(told)}: {', '.join(told[:SHOWN])}{more}" if told else "none"
