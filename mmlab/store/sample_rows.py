"""What an evaluation says of each sample, as rows: results, truths, targets, rankings, pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from mmlab.records import EvaluationResult, Rankings, SampleResults, SampleTargets
from mmlab.store.bulk import insert_columns, nullable
from mmlab.store.catalogue import Ids, sample_ids
from mmlab.store.dialect import insert_missing
from mmlab.tables import rankings, sample_results, sample_targets, sample_truths, thumbnails


def write_samples(
    connection: Connection,
    evaluation_id: int,
    result: EvaluationResult,
    rows: SampleResults,
    label_ids: Ids,
) -> None:
    """Add an evaluation's rows about samples; `label_ids` are its labels' numbers."""
    ids = sample_ids(connection, result.dataset_revision, result.split, rows.ids)
    _write_sample_results(connection, evaluation_id, rows, ids, label_ids)
    _write_truths(connection, evaluation_id, rows, ids, label_ids)
    _write_targets(connection, evaluation_id, result.targets, ids)
    if result.rankings is not None:
        write_rankings(connection, evaluation_id, result.rankings, ids, label_ids)
    numbers = dict(zip(rows.ids, ids.tolist(), strict=True))
    pictures = [
        {"sample_id": numbers[stable_id], "image": image}
        for stable_id, image in result.thumbnails.items()
    ]
    insert_missing(connection, thumbnails, pictures)


def _write_sample_results(
    connection: Connection, evaluation_id: int, rows: SampleResults, ids: Ids, label_ids: Ids
) -> None:
    numbers = label_ids.tolist()
    top = [numbers[label] if numbers and label >= 0 else None for label in rows.top_label.tolist()]
    columns: dict[str, Sequence[object]] = {
        "evaluation_id": [evaluation_id] * len(ids),
        "sample_id": ids.tolist(),
        "rank": [rank or None for rank in rows.rank.tolist()],
        "probability": nullable(rows.probability),
        "top_label_id": top,
        "top_probability": nullable(rows.top_probability),
        "has_tie": rows.has_tie.tolist(),
        "outcome": nullable(rows.outcome),
    }
    insert_columns(connection, sample_results, columns)


def _write_truths(
    connection: Connection, evaluation_id: int, rows: SampleResults, ids: Ids, label_ids: Ids
) -> None:
    counts = [len(truths) for truths in rows.truths]
    truths = [truth for truths in rows.truths for truth in truths]
    columns = {
        "evaluation_id": [evaluation_id] * len(truths),
        "sample_id": np.repeat(ids, counts).tolist(),
        "label_id": label_ids[np.array(truths, dtype=np.int64)].tolist(),
    }
    insert_columns(connection, sample_truths, columns)


def _write_targets(
    connection: Connection, evaluation_id: int, found: SampleTargets | None, ids: Ids
) -> None:
    if found is None:
        return
    count = len(found.names)
    columns: dict[str, Sequence[object]] = {
        "evaluation_id": [evaluation_id] * (len(ids) * count),
        "sample_id": np.repeat(ids, count).tolist(),
        "target": list(found.names) * len(ids),
        "truth": nullable(found.truth.ravel()),
        "prediction": nullable(found.prediction.ravel()),
    }
    insert_columns(connection, sample_targets, columns)


def write_rankings(
    connection: Connection, evaluation_id: int, ranked: Rankings, ids: Ids, label_ids: Ids
) -> None:
    """Add the ranked labels of samples; `ids` are the samples', `label_ids` the labels' numbers."""
    count, depth = ranked.label.shape
    columns = {
        "evaluation_id": [evaluation_id] * (count * depth),
        "sample_id": np.repeat(ids, depth).tolist(),
        "rank": list(range(1, depth + 1)) * count,
        "label_id": label_ids[ranked.label.ravel()].tolist(),
        "score": nullable(ranked.score.ravel()),
    }
    insert_columns(connection, rankings, columns)
