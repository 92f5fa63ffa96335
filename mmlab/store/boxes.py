"""Writing what detections leave: boxes that were found in pictures, and those that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from mmlab.records import BoxResults, EvaluationResult, Ints
from mmlab.store.bulk import insert_columns
from mmlab.store.catalogue import Ids, sample_ids
from mmlab.store.tables import detections, true_boxes

#: Boxes that are held as rows at a time.
AT_ONCE = 50_000


def write_boxes(
    connection: Connection,
    evaluation_id: int,
    result: EvaluationResult,
    boxes: BoxResults,
    label_ids: Ids,
) -> dict[str, int]:
    """Add the boxes of an evaluation; the numbers of its pictures by their ids.

    `label_ids` are the numbers of its labels.
    """
    ids = sample_ids(connection, result.dataset_revision, result.split, boxes.samples)
    place = places(boxes.sample)
    for part in _parts(len(boxes.sample)):
        truth = [None if number < 0 else number for number in boxes.truth[part].tolist()]
        columns: dict[str, Sequence[object]] = {
            "evaluation_id": [evaluation_id] * len(truth),
            "sample_id": ids[boxes.sample[part]].tolist(),
            "rank": (place[part] + 1).tolist(),
            "label_id": label_ids[boxes.label[part]].tolist(),
            **_corners(boxes.box[part]),
            "score": boxes.score[part].tolist(),
            "truth": truth,
        }
        insert_columns(connection, detections, columns)
    number = places(boxes.true_sample)
    for part in _parts(len(boxes.true_sample)):
        columns = {
            "evaluation_id": [evaluation_id] * len(number[part]),
            "sample_id": ids[boxes.true_sample[part]].tolist(),
            "number": number[part].tolist(),
            "label_id": label_ids[boxes.true_label[part]].tolist(),
            **_corners(boxes.true_box[part]),
            "area": boxes.true_area[part].tolist(),
            "is_crowd": boxes.is_crowd[part].tolist(),
            "is_difficult": boxes.is_difficult[part].tolist(),
        }
        insert_columns(connection, true_boxes, columns)
    return dict(zip(boxes.samples, ids.tolist(), strict=True))


def places(sample: Ints) -> npt.NDArray[np.int64]:
    """The place of each row among those of its sample, from 0; samples are in ascending order.

    >>> places(np.array([0, 0, 2, 2, 2])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(len(sample)) - np.searchsorted(sample, sample)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE))


def _corners(box: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    return {name: box[:, side].tolist() for side, name in enumerate(("x0", "y0", "x1", "y1"))}
