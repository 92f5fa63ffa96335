"""Writing what an execution leaves: curves, evaluations with all their rows, and files.

A value that no database orders alike (NaN, infinity) is kept as null with its kind. Imported
results are runs that are done as soon as they are there, and have no spec.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict

import numpy as np
from sqlalchemy import Connection, delete, insert, select

from mmlab.errors import DataError, UsageError, explain, shortened, storable
from mmlab.metric import Metric
from mmlab.records import (
    Artifact,
    EvaluationResult,
    MetricPoint,
    Rankings,
    SampleResults,
    SampleTargets,
    SkippedSample,
)
from mmlab.store.bulk import (
    among,
    check_texts,
    db_now,
    digest,
    insert_columns,
    insert_into,
    insert_missing,
    nullable,
    to_json,
)
from mmlab.store.catalogue import (
    Ids,
    declaration_ids,
    keep_pictures,
    label_set,
    name_clusters,
    sample_ids,
)
from mmlab.store.rows import ImportedRun
from mmlab.store.runs import lock_done_run
from mmlab.store.tables import (
    artifacts,
    confusions,
    detections,
    evaluation_parts,
    evaluations,
    label_metrics,
    metrics,
    rankings,
    reliability,
    sample_results,
    sample_targets,
    sample_truths,
    shots,
    skipped_samples,
    true_boxes,
)
from mmlab.store.tables import runs as run_table

_PER_EVALUATION = (
    sample_targets,
    metrics,
    artifacts,
    label_metrics,
    confusions,
    reliability,
    shots,
    rankings,
    sample_truths,
    sample_results,
    detections,
    true_boxes,
)

#: Of larger sets, only labels about which something is known get rows.
SMALL_SET = 100_000


def check_results(results: Sequence[EvaluationResult]) -> None:
    """Raise DataError for what could not be stored exactly; nothing has been written yet."""
    for result in results:
        _check_result(result)


def _check_result(result: EvaluationResult) -> None:
    check_texts(f"name of evaluation {result.name!r}", [result.name, result.condition])
    check_texts(f"test set of {result.name}", [result.test_set or "", result.main_metric or ""])
    check_texts(f"metric of {result.name}", [*result.metrics, *result.label_metrics])
    units = [metric.unit for metric in (*result.declared, *result.declared_of_labels)]
    check_texts(f"unit of a metric of {result.name}", units)
    check_texts(f"label of {result.name}", result.labels)
    check_texts(f"template of {result.name}", result.templates)
    _check_unique(f"labels of {result.name}", result.labels)
    if result.samples is not None:
        check_texts(f"id of sample of {result.name}", result.samples.ids, is_indexed=True)
        _check_unique(f"sample ids of {result.name}", result.samples.ids)
    if result.boxes is not None:
        check_texts(f"id of picture of {result.name}", result.boxes.samples, is_indexed=True)
        _check_unique(f"picture ids of {result.name}", result.boxes.samples)
    if result.targets is not None:
        check_texts(f"target of {result.name}", result.targets.names)
        _check_unique(f"targets of {result.name}", result.targets.names)


def _check_unique(place: str, texts: Sequence[str]) -> None:
    if len(set(texts)) == len(texts):
        return
    first, _ = Counter(texts).most_common(1)[0]
    raise DataError(
        explain(
            place,
            "the same text is there twice",
            found=repr(first[:80]),
            allowed="each text once",
            next_step="correct the dataset; nothing was written",
        )
    )


def write_result(
    connection: Connection,
    run_id: str,
    result: EvaluationResult,
    evaluation_hash: str,
    step: int | None,
) -> None:
    """Add one evaluation and all its rows."""
    set_id, label_ids = label_set(connection, result.labels)
    row = _evaluation_row(result) | {
        "run_id": run_id,
        "evaluation_hash": evaluation_hash,
        "step": step,
        "label_set_id": set_id,
        "created_at": db_now(connection),
    }
    inserted = insert(evaluations).values(row).returning(evaluations.c.id)
    evaluation_id = connection.execute(inserted).scalar_one()
    _write_metrics(connection, run_id, evaluation_id, result)
    if result.samples is not None:
        write_samples(connection, evaluation_id, result, result.samples, label_ids)
    _write_label_metrics(connection, evaluation_id, result, label_ids)
    _write_confusions(connection, evaluation_id, result, label_ids)
    _write_reliability(connection, evaluation_id, result)
    _write_shots(connection, evaluation_id, result)
    write_artifacts(connection, run_id, result.artifacts, evaluation_id)


def _evaluation_row(result: EvaluationResult) -> dict[str, object]:
    protocol, subject = to_json(result.protocol), to_json(result.subject)
    return {
        "name": result.name,
        "evaluator": result.evaluator,
        "condition": result.condition,
        "split": result.split,
        "dataset_revision": result.dataset_revision,
        "protocol_hash": digest(protocol),
        "protocol": protocol,
        "subject_hash": digest(subject),
        "subject": subject,
        "templates": to_json(result.templates),
        "sample_count": len(result.samples.ids) if result.samples else 0,
        "skipped_count": result.skipped,
        "test_set": result.test_set,
        "main_metric": result.main_metric,
        "suite": to_json(list(result.suite)) if result.suite else None,
    }


def _write_metrics(
    connection: Connection, run_id: str, evaluation_id: int, result: EvaluationResult
) -> None:
    pairs = [as_pair(value) for value in result.metrics.values()]
    declared = declaration_ids(connection, result.declared, result.metrics, result.condition)
    columns: dict[str, Sequence[object]] = {
        "run_id": [run_id] * len(pairs),
        "evaluation_id": [evaluation_id] * len(pairs),
        "name": list(result.metrics),
        "value": [value for value, _ in pairs],
        "value_kind": [kind for _, kind in pairs],
        "metric_declaration_id": [declared.get(name) for name in result.metrics],
    }
    insert_columns(connection, metrics, columns)


def _write_label_metrics(
    connection: Connection, evaluation_id: int, result: EvaluationResult, label_ids: Ids
) -> None:
    declared = declaration_ids(connection, result.declared_of_labels, result.label_metrics)
    for name, values in result.label_metrics.items():
        is_kept = np.full(len(values), True)
        if len(values) > SMALL_SET:
            is_kept = ~np.isnan(values) & (values != 0)
        count = int(is_kept.sum())
        columns: dict[str, Sequence[object]] = {
            "evaluation_id": [evaluation_id] * count,
            "label_id": label_ids[is_kept].tolist(),
            "name": [name] * count,
            "value": nullable(values[is_kept]),
            "metric_declaration_id": [declared.get(name)] * count,
        }
        insert_columns(connection, label_metrics, columns)


def _write_confusions(
    connection: Connection, evaluation_id: int, result: EvaluationResult, label_ids: Ids
) -> None:
    if result.confusions is None:
        return
    columns = {
        "evaluation_id": [evaluation_id] * len(result.confusions.count),
        "truth_id": label_ids[result.confusions.truth].tolist(),
        "predicted_id": label_ids[result.confusions.predicted].tolist(),
        "sample_count": result.confusions.count.tolist(),
    }
    insert_columns(connection, confusions, columns)


def _write_reliability(
    connection: Connection, evaluation_id: int, result: EvaluationResult
) -> None:
    found = result.reliability
    if found is None:
        return
    columns: dict[str, Sequence[object]] = {
        "evaluation_id": [evaluation_id] * len(found.count),
        "bin": range(len(found.count)),
        "low": found.low.tolist(),
        "high": found.high.tolist(),
        "sample_count": found.count.tolist(),
        "probability": nullable(found.probability),
        "accuracy": nullable(found.accuracy),
    }
    insert_columns(connection, reliability, columns)


def _write_shots(connection: Connection, evaluation_id: int, result: EvaluationResult) -> None:
    found = result.shots
    if found is None:
        return
    ids = sample_ids(connection, found.dataset_revision, found.split, found.ids)
    columns = {"evaluation_id": [evaluation_id] * len(ids), "sample_id": ids.tolist()}
    insert_columns(connection, shots, columns)


def write_skipped(connection: Connection, run_id: str, skipped: Sequence[SkippedSample]) -> None:
    """Add the samples a run left out; those it has already stay as they are."""
    rows = [
        {"run_id": run_id, **asdict(one), "reason": shortened(storable(one.reason))}
        for one in skipped
    ]
    if rows:
        insert_missing(connection, skipped_samples, rows)


def write_artifacts(
    connection: Connection,
    run_id: str,
    files: Sequence[Artifact],
    evaluation_id: int | None = None,
) -> None:
    """Add the files a run left, or one of its evaluations."""
    rows = [
        {
            "run_id": run_id,
            "evaluation_id": evaluation_id,
            "role": file.role,
            "path": file.path,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
        }
        for file in files
    ]
    if rows:
        connection.execute(insert(artifacts), rows)


def delete_results(connection: Connection, run_id: str) -> None:
    """Remove a run's evaluations, with all their rows and parts, and its artifacts."""
    mine = select(evaluations.c.id).where(evaluations.c.run_id == run_id)
    for table in _PER_EVALUATION:
        connection.execute(delete(table).where(table.c.evaluation_id.in_(mine)))
    connection.execute(delete(artifacts).where(artifacts.c.run_id == run_id))
    connection.execute(delete(skipped_samples).where(skipped_samples.c.run_id == run_id))
    connection.execute(delete(evaluations).where(evaluations.c.run_id == run_id))
    connection.execute(delete(evaluation_parts).where(evaluation_parts.c.run_id == run_id))


def delete_parts(connection: Connection, run_id: str, hashes: Collection[str]) -> None:
    """Remove the parts of some of a run's evaluations: their results are recorded."""
    mine = evaluation_parts.c.run_id == run_id
    these = among(evaluation_parts.c.evaluation_hash, hashes)
    connection.execute(delete(evaluation_parts).where(mine, these))


def evaluation_hashes(connection: Connection, run_id: str) -> set[str]:
    """Identities of the evaluations that a run has."""
    query = select(evaluations.c.evaluation_hash).where(evaluations.c.run_id == run_id)
    return set(connection.scalars(query))


def write_samples(
    connection: Connection,
    evaluation_id: int,
    result: EvaluationResult,
    rows: SampleResults,
    label_ids: Ids,
) -> None:
    """Add an evaluation's rows about samples; `label_ids` are its labels' numbers."""
    ids = sample_ids(connection, result.dataset_revision, result.split, rows.ids)
    if rows.clusters is not None:
        name_clusters(connection, ids, rows.clusters)
    _write_sample_results(connection, evaluation_id, rows, ids, label_ids)
    _write_truths(connection, evaluation_id, rows, ids, label_ids)
    _write_targets(connection, evaluation_id, result.targets, ids)
    if result.rankings is not None:
        write_rankings(connection, evaluation_id, result.rankings, ids, label_ids)
    numbers = dict(zip(rows.ids, ids.tolist(), strict=True))
    if result.boxes is not None:
        from mmlab.store.boxes import write_boxes  # few evaluations find boxes

        numbers |= write_boxes(connection, evaluation_id, result, result.boxes, label_ids)
    keep_pictures(connection, numbers, result.thumbnails, result.picture_sizes)


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


def as_pair(value: float | None) -> tuple[float | None, str]:
    """A metric as its columns `value` and `value_kind`."""
    if value is None:
        return None, "undefined"
    return (value, "finite") if math.isfinite(value) else (None, str(float(value)))


def write_points(
    connection: Connection,
    run_id: str,
    points: Sequence[MetricPoint],
    declared: Sequence[Metric] = (),
) -> None:
    """Add points of curves, or replace those of the same name and step."""
    if not points:
        return
    ids = declaration_ids(connection, declared, {point.name: None for point in points})
    rows = []
    for point in points:
        value, kind = as_pair(point.value)
        row = {"run_id": run_id, "name": point.name, "step": point.step}
        number = ids.get(point.name)
        rows.append({**row, "value": value, "value_kind": kind, "metric_declaration_id": number})
    statement = insert_into(connection, metrics)
    statement = statement.on_conflict_do_update(
        index_elements=["run_id", "name", "step"],
        index_where=metrics.c.evaluation_id.is_(None),
        set_={
            "value": statement.excluded.value,
            "value_kind": statement.excluded.value_kind,
            "metric_declaration_id": statement.excluded.metric_declaration_id,
        },
    )
    connection.execute(statement, rows)


def check_points(points: Sequence[MetricPoint]) -> None:
    """Raise DataError for a name that could not be stored exactly."""
    check_texts("name of metric", [point.name for point in points])


def add_imported(connection: Connection, imported: Sequence[ImportedRun]) -> int:
    """Add results that are not there yet, by their identities; returns how many were added."""
    return sum(_add_run(connection, run) for run in imported)


def _add_run(connection: Connection, run: ImportedRun) -> int:
    if run.experiment is not None:
        _require_free(connection, run.experiment, run.origin)
    insert_missing(connection, run_table, _row(connection, run))
    query = select(run_table.c.id).where(run_table.c.train_hash == run.train_hash)
    run_id = connection.execute(query.limit(1)).scalar_one()
    lock_done_run(connection, run_id)
    known = evaluation_hashes(connection, run_id)
    new = [(identity, result) for identity, result in run.evaluations if identity not in known]
    if run.experiment is not None:
        _require_new(connection, run_id, new)
    for identity, result in new:
        write_result(connection, run_id, result, identity, None)
    return len({identity for identity, _ in new})


def _require_free(connection: Connection, experiment: str, origin: str) -> None:
    """Raise UsageError where runs of another origin have this name: seeds would be mixed."""
    is_other = run_table.c.origin.is_distinct_from(origin)
    query = select(run_table.c.id).where(run_table.c.experiment == experiment, is_other)
    other = connection.execute(query.limit(1)).scalar_one_or_none()
    if other is None:
        return
    raise UsageError(
        explain(
            f"the name {experiment!r}",
            "an experiment here has it already",
            found=f"run {other}",
            allowed="a name that no experiment has",
            next_step="choose another with --name; nothing was imported",
        )
    )


def _require_new(
    connection: Connection, run_id: str, new: Sequence[tuple[str, EvaluationResult]]
) -> None:
    """Raise UsageError where the run has other results of the same question under its name."""
    row = evaluations.c
    query = select(row.name, row.condition, row.protocol_hash).where(row.run_id == run_id)
    known = {tuple(found) for found in connection.execute(query)}
    for _, result in new:
        key = (result.name, result.condition, digest(to_json(result.protocol)))
        if key in known:
            raise UsageError(
                explain(
                    f"run {run_id}",
                    f"it has other results of {result.name!r}, and of the same samples",
                    found="scores that differ from those imported before",
                    allowed="one set of scores for a name, a seed and an evaluation",
                    next_step="choose another --name or --seed; nothing was imported",
                )
            )


def _row(connection: Connection, run: ImportedRun) -> dict[str, object]:
    now = db_now(connection)
    return {
        "id": uuid.uuid4().hex,
        "spec_id": None,
        "experiment": run.experiment or run.origin,
        "cell": run.cell,
        "axes": to_json(run.axes),
        "resolved": "{}",
        "train_hash": run.train_hash,
        "group_hash": run.group_hash or run.train_hash,
        "seed": run.seed,
        "replicate": 0,
        "status": "done",
        "fence": 0,
        "created_at": now,
        "finished_at": now,
        "provenance": to_json({"imported_from": run.origin}),
        "summary": "{}",
        "origin": run.origin,
    }
