"""The pictures of a split with their true boxes, and the things in them as pictures themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mmlab.data.samples import groups_of, prompt_names
from mmlab.errors import DataError, explain
from mmlab.evaluate.detection.boxes import TrueBoxes
from mmlab.evaluate.encode import Encoded
from mmlab.hashing import digest
from mmlab.plugin import Box, Boxes, Dataset, Outlined, Sample


@dataclass(frozen=True)
class Scenes:
    """Those samples of a split that have a picture and of which it is known what is where.

    `indexes` are their positions in the dataset, `boxes` what is in each of them; `clusters` name
    what each was drawn together with: its group, else the sample itself.
    """

    dataset: Dataset
    modality: str
    indexes: Sequence[int]
    ids: Sequence[str]
    boxes: Sequence[Boxes]
    clusters: Sequence[str]

    @classmethod
    def of(cls, encoded: Encoded, key: str, modality: str) -> Scenes:
        """Of a split as a model sees it, whose encoder `key` reads pictures."""
        dataset = encoded.dataset
        look = dataset.outline if isinstance(dataset, Outlined) else dataset.__getitem__
        present = encoded.present(key).nonzero()[:, 0].tolist()
        known = [(at, boxes) for at in present if (boxes := look(at).boxes) is not None]
        indexes = [at for at, _ in known]
        ids = [encoded.ids[at] for at in indexes]
        groups = groups_of(dataset, indexes) or [None] * len(ids)
        clusters = [group or own for group, own in zip(groups, ids, strict=True)]
        return cls(dataset, modality, indexes, ids, [boxes for _, boxes in known], clusters)

    def __len__(self) -> int:
        return len(self.indexes)

    def picture(self, scene: int) -> Image.Image:
        """A picture, read now. Raises DataError where it is none, or a box does not fit it."""
        sample = self.dataset[self.indexes[scene]]
        raw = sample.values[self.modality]
        place = f"dataset: sample {sample.id!r}"
        if not isinstance(raw, Image.Image):
            raise _no_picture(place, raw)
        self.boxes[scene].check(place, len(self.dataset.labels), raw.size)
        return raw

    @property
    def truths(self) -> TrueBoxes:
        """All boxes, by position of their picture."""
        rows = [
            (scene, label, box, crowd, difficult, area)
            for scene, boxes in enumerate(self.boxes)
            for box, label, crowd, difficult, area in zip(
                boxes.corners, boxes.labels, boxes.crowd, boxes.difficult, boxes.areas, strict=True
            )
        ]
        picture, label, box, crowd, difficult, area = zip(*rows, strict=True) if rows else [()] * 6
        return TrueBoxes(
            np.array(picture, np.int64),
            np.array(label, np.int64),
            np.array(box, np.float64).reshape(-1, 4),
            np.array(crowd, bool),
            np.array(difficult, bool),
            np.array(area, np.float64),
        )


def cut_out(picture: Image.Image, box: Box) -> Image.Image:
    """The part of a picture in a box, widened to whole pixels."""
    x0, y0 = (min(math.floor(at), side - 1) for at, side in zip(box, picture.size, strict=False))
    x1, y1 = max(math.ceil(box[2]), x0 + 1), max(math.ceil(box[3]), y0 + 1)
    return picture.crop((x0, y0, x1, y1))


class Crops:
    """A dataset of the things in pictures: one sample for each true box that is to be found.

    Its picture is the part in the box, its label the box's. `rows` says of each sample the scene
    and the number of the box there; `ids` are made of both. Of samples that follow each other the
    picture is read once.
    """

    is_multi_label = False

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes
        self.modalities: tuple[str, ...] = (scenes.modality,)
        self.labels = scenes.dataset.labels
        self.templates = scenes.dataset.templates
        self.prompt_names = prompt_names(scenes.dataset)
        self.rows = [
            (scene, number)
            for scene, boxes in enumerate(scenes.boxes)
            for number in range(len(boxes))
            if not (boxes.crowd[number] or boxes.difficult[number])
        ]
        self.ids = [f"{scenes.ids[scene]}#{number}" for scene, number in self.rows]
        # Its own: what is kept of so many pictures is not that of as many boxes.
        self.revision = f"boxes-{digest([scenes.dataset.revision, self.ids])}"
        self._last: tuple[int, Image.Image] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        scene, number = self.rows[index]
        if self._last is None or self._last[0] != scene:
            self._last = scene, self.scenes.picture(scene)
        crop = cut_out(self._last[1], self.scenes.boxes[scene].corners[number])
        return replace(self.outline(index), values={self.scenes.modality: crop})

    def outline(self, index: int) -> Sample:
        """The sample without its picture."""
        scene, number = self.rows[index]
        labels = (self.scenes.boxes[scene].labels[number],)
        return Sample(self.ids[index], {self.scenes.modality: None}, labels)

    @property
    def clusters(self) -> list[str]:
        """What each box was drawn together with: the other ones of its picture, or its group."""
        return [self.scenes.clusters[scene] for scene, _ in self.rows]


def _no_picture(place: str, raw: object) -> DataError:
    return DataError(
        explain(
            place,
            "things are to be found in its picture, and it has none",
            found=f"a value of type {type(raw).__name__}",
            allowed="an RGB PIL.Image.Image",
            next_step="set `queries` of this evaluation to the encoder that reads pictures",
        )
    )
