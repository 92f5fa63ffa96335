"""The views of the store: what analysts and reports read. They stay stable.

They show done runs only, but for those of runs, attempts, cells, artifacts and the queue, and
`live_curves`. SELECT on them is enough for all that only reads: no table is read but by them.

Their SQL is in the migrations, which is where a database gets it from; here are their columns, so
that `select(views.leaderboard)` works and frames get their types.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from mmlab.store import tables

#: Apart from the tables' metadata, so that migrations do not take a view for a table.
metadata = MetaData()

# A column of any type; its values are never touched here.
AnyColumn = Column[Any]


def _given(name: str, kind: Any, comment: str) -> AnyColumn:
    """A column that is never NULL; a view cannot say so itself."""
    return Column(name, kind, nullable=False, comment=comment)


def _of(table: Table, *names: str, **renamed: str) -> list[AnyColumn]:
    """Columns as a table has them; `renamed` are the view's names and the table's."""
    found = {**{name: name for name in names}, **renamed}
    return [
        Column(name, own.type, nullable=own.nullable, comment=own.comment)
        for name, own in ((name, table.c[there]) for name, there in found.items())
    ]


def _run(side: str = "") -> list[AnyColumn]:
    """Which run a row is about."""
    return [
        _given(f"{side}run_id", Text, comment="the run"),
        _given(f"{side}experiment", Text, comment="the spec's name"),
        _given(f"{side}cell", Text, comment="what differs from its sweep's other cells"),
        _given(f"{side}axes", Text, comment="JSON: the sweep's dotted paths and their values"),
        _given(f"{side}seed", BigInteger, comment="seed of all randomness"),
        _given(f"{side}replicate", Integer, comment="0, or more for wanted repetitions"),
        _given(f"{side}group_hash", Text, comment="equal for runs that differ in seed only"),
    ]


def _evaluation() -> list[AnyColumn]:
    """Which evaluation a row is about."""
    return [
        _given("evaluation", Text, comment="the evaluation's name in the spec"),
        _given("condition", Text, comment="which of its results; usually empty"),
        _given("split", Text, comment="train, validation or test"),
        _given("dataset_revision", Text, comment="identifies the dataset's content"),
        _given("protocol_hash", Text, comment="results compare only where it is equal"),
    ]


def _value() -> list[AnyColumn]:
    return [
        Column("value", Double, comment="the value; NULL unless value_kind is finite"),
        _given("value_kind", Text, comment="finite, nan, inf, -inf, or undefined: no value"),
    ]


def _declared() -> list[AnyColumn]:
    """What a metric is, as its giver declared it."""
    return [
        Column("better", Text, comment="which values are better: higher, lower; NULL if unknown"),
        Column("unit", Text, comment="share (of 1), rank, ...; empty if none, NULL if unknown"),
        Column("metric_declaration_id", Integer, comment="number of the declaration, or NULL"),
    ]


def _side(side: str) -> list[AnyColumn]:
    return [
        *_run(side),
        Column(f"{side}rank", Integer, comment="its rank of the truth; NULL without a truth"),
        Column(f"{side}outcome", REAL, comment="what paired statistics compare; higher is better"),
    ]


leaderboard = Table(
    "leaderboard",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    _given("evaluator", Text, comment="the evaluator: zero_shot, retrieval, ..."),
    _given("sample_count", Integer, comment="samples scored"),
    _given("skipped_count", Integer, comment="samples that could not take part"),
    _given("metric", Text, comment="the metric's name"),
    *_value(),
    Column("finished_at", DateTime(timezone=True), comment="when the run was done, UTC"),
    Column("origin", Text, comment="what the run was imported from; NULL if executed here"),
    Column("test_set", Text, comment="published name of the samples, split included, or NULL"),
    Column("main_metric", Text, comment="the metric quoted for it; NULL for the usual one"),
    *_declared(),
    comment="One row per final metric of a done run",
)

label_rankings = Table(
    "label_rankings",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    _given("sample", Text, comment="the dataset's own id of the sample"),
    _given("rank", SmallInteger, comment="1 for the label ranked first"),
    _given("label", Text, comment="the label at this rank"),
    Column("score", REAL, comment="its probability, or score; NULL if not a number"),
    _given("is_truth", Boolean, comment="whether it is a true label of the sample"),
    *_of(tables.rankings, "sample_id"),
    comment="One row per ranked label of every evaluated sample of a done run",
)

curves = Table(
    "curves",
    metadata,
    *_run(),
    _given("metric", Text, comment="train/loss, validation/zero_shot/top1, ..."),
    _given("step", BigInteger, comment="training step"),
    *_value(),
    *_declared(),
    comment="One row per point of a done run's training curves",
)

comparisons = Table(
    "comparisons",
    metadata,
    *_evaluation(),
    _given("sample", Text, comment="the dataset's own id of the sample"),
    *_side("left_"),
    *_side("right_"),
    comment="One row per sample and pair of runs that may be compared; filter by both run ids",
)

label_confusions = Table(
    "label_confusions",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    _given("truth", Text, comment="a true label"),
    _given("predicted", Text, comment="the label ranked first"),
    _given("sample_count", Integer, comment="samples of this pair"),
    comment="One row per pair of a true label and a label ranked first, in done runs",
)

target_predictions = Table(
    "target_predictions",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    _given("sample", Text, comment="the dataset's own id of the sample"),
    _given("target", Text, comment="what was predicted, by its name"),
    Column("truth", Double, comment="its value; NULL where it is unknown"),
    Column("prediction", Double, comment="in the same unit; NULL if not a number"),
    comment="One row per number predicted for every evaluated sample of a done run",
)

reliability_bins = Table(
    "reliability_bins",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    _given("bin", SmallInteger, comment="from 0, by the first label's probability"),
    _given("low", REAL, comment="probabilities in the bin are above this"),
    _given("high", REAL, comment="and at most this"),
    _given("sample_count", Integer, comment="samples in the bin"),
    Column("probability", REAL, comment="their mean; NULL in an empty bin"),
    Column("accuracy", REAL, comment="share whose first label is true; NULL in an empty bin"),
    comment="One row per evaluation of a done run and bin of probabilities",
)

submitted_cells = Table(
    "submitted_cells",
    metadata,
    _given("cell_id", Integer, comment="number of the cell, higher if newer"),
    _given("spec", Text, comment="file name of its spec, without the folder"),
    _given("experiment", Text, comment="the spec's name"),
    Column("position", Integer, comment="place in its sweep, from 0; NULL where it is unknown"),
    _given("cell", Text, comment="what differs from its sweep's other cells"),
    _given("axes", Text, comment="JSON: the sweep's dotted paths and their values"),
    _given("seed", BigInteger, comment="seed of all randomness"),
    Column("overrides", Text, comment="JSON: texts of --set, files of --set-file, or NULL"),
    Column("budget", BigInteger, comment="parameters of fusion and head to meet; NULL if none"),
    Column("created_at", DateTime(timezone=True), comment="first submitted, UTC"),
    Column("run_id", Text, comment="the run it is; NULL where none was found yet"),
    Column("status", Text, comment="of that run; before it, of its place in the queue, or NULL"),
    comment="One row per cell that was ever submitted, and the run it is",
)

all_runs = Table(
    "all_runs",
    metadata,
    *_run(),
    *_of(tables.runs, "status"),
    *_of(tables.runs, attempts="fence"),
    Column("outcome", Text, comment="how the last attempt ended: ok, error, nan, ..., or NULL"),
    *_of(tables.runs, "error"),
    Column("seconds", Double, comment="from the last claim to its end; NULL if it has not ended"),
    Column("memory_bytes", BigInteger, comment="peak of the device, or process; NULL if unknown"),
    Column("parameters", BigInteger, comment="of the whole model; NULL if unknown"),
    Column("code_revision", Text, comment="commit of the work tree it was run in; NULL if unknown"),
    Column("data_revisions", Text, comment="of its datasets, each once, by comma; NULL if unknown"),
    *_of(tables.runs, "created_at", "started_at", "finished_at", "worker", "lease_until"),
    *_of(tables.runs, "train_hash", "origin", "spec_id"),
    Column("spec", Text, comment="file name of its spec, without the folder; NULL if imported"),
    Column("spec_text", Text, comment="the TOML file, exactly; NULL for imported results"),
    *_of(tables.runs, "resolved", "provenance", "summary"),
    comment="One row per run, whatever its status: how it went and what it cost",
)

run_attempts = Table(
    "run_attempts",
    metadata,
    *_run(),
    *_of(tables.attempts, attempt="fence"),
    *_of(tables.attempts, "worker", "started_at", "finished_at", "outcome"),
    *_of(tables.attempts, "message", "traceback"),
    comment="One row per claim of a run, whatever its status",
)

run_evaluations = Table(
    "run_evaluations",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.evaluations, "evaluator", "step", "evaluation_hash", "protocol", "subject_hash"),
    *_of(tables.evaluations, "subject", "templates"),
    Column("label_count", Integer, comment="labels scored against; NULL if none"),
    *_of(tables.evaluations, "sample_count", "skipped_count", "created_at", "test_set"),
    *_of(tables.evaluations, "main_metric", "label_set_id", "suite"),
    comment="One row per result of an evaluator on a done run, with all that it was asked",
)

declared_metrics = Table(
    "declared_metrics",
    metadata,
    *_of(tables.metric_declarations, metric_declaration_id="id", metric="name"),
    *_of(tables.metric_declarations, "better", "unit", "position", "mean_of", "low_of", "high_of"),
    *_of(tables.metric_declarations, "board", "has_gain"),
    comment="One row per declaration of a metric, as whoever gave it made it with the results",
)

live_curves = Table(
    "live_curves",
    metadata,
    *_run(),
    *_of(tables.runs, "status"),
    _given("metric", Text, comment="train/loss, validation/zero_shot/top1, ..."),
    _given("step", BigInteger, comment="training step"),
    *_value(),
    *_declared(),
    comment="One row per point of training curves of every run, also of those that are running",
)

label_results = Table(
    "label_results",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.labels, label="text"),
    *_of(tables.labels, "position"),
    *_of(tables.label_metrics, metric="name"),
    *_of(tables.label_metrics, "value"),
    *_declared(),
    comment="One row per metric of a label in an evaluation of a done run",
)

sample_outcomes = Table(
    "sample_outcomes",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.sample_results, "sample_id"),
    *_of(tables.samples, sample="stable_id"),
    *_of(tables.sample_results, "rank", "probability"),
    Column("top_label", Text, comment="the label ranked first, if any"),
    *_of(tables.sample_results, "top_probability", "has_tie", "outcome"),
    *_of(tables.samples, "cluster"),
    comment="One row per sample (or query) of an evaluation of a done run",
)

true_labels = Table(
    "true_labels",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.sample_truths, "sample_id"),
    *_of(tables.samples, sample="stable_id"),
    *_of(tables.labels, label="text"),
    *_of(tables.labels, "position"),
    comment="One row per true label of a sample that a done run was asked",
)

sample_pictures = Table(
    "sample_pictures",
    metadata,
    *_of(tables.thumbnails, "sample_id"),
    *_of(tables.samples, "dataset_revision", "split", sample="stable_id"),
    *_of(tables.pictures, "image"),
    *_of(tables.thumbnails, "width", "height"),
    comment="One row per sample that has a small picture",
)

box_detections = Table(
    "box_detections",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.detections, "sample_id"),
    *_of(tables.samples, sample="stable_id"),
    *_of(tables.detections, "rank"),
    _given("label", Text, comment="the label of what is in it"),
    *_of(tables.detections, "x0", "y0", "x1", "y1", "score", "truth"),
    _given("is_right", Boolean, comment="whether it is a true box that is to be found"),
    _given("is_ignored", Boolean, comment="whether it is one that need not be found"),
    comment="One row per box that a done run found in a picture",
)

box_truths = Table(
    "box_truths",
    metadata,
    *_run(),
    _given("evaluation_id", Integer, comment="number of the evaluation"),
    *_evaluation(),
    *_of(tables.true_boxes, "sample_id"),
    *_of(tables.samples, sample="stable_id"),
    *_of(tables.true_boxes, "number"),
    _given("label", Text, comment="the label of what is in it"),
    *_of(tables.true_boxes, "x0", "y0", "x1", "y1", "area", "is_crowd", "is_difficult"),
    comment="One row per box that is in a picture in which a done run looked for boxes",
)

artifacts = Table(
    "artifacts",
    metadata,
    *_of(tables.artifacts, "id"),
    *_run(),
    *_of(tables.runs, "status"),
    *_of(tables.artifacts, "evaluation_id", "sample_id", "role", "path", "sha256", "size_bytes"),
    comment="One row per file that a run left, whatever its status",
)

whole_cells = Table(
    "whole_cells",
    metadata,
    *_of(tables.cells, cell_id="id"),
    *_of(tables.cells, "run_id", "experiment", cell="label"),
    *_of(tables.cells, "axes", "seed", "position", "overrides", "budget", "hash", "resolved"),
    *_of(tables.cells, "created_at", "submitted_at", "spec_id"),
    *_of(tables.specs, spec="name", spec_text="text", spec_resolved="resolved"),
    *_of(tables.specs, spec_hash="hash", spec_created_at="created_at"),
    comment="One row per cell and run that it is, with its spec: several cells may be one run",
)

queue_places = Table(
    "queue_places",
    metadata,
    *_of(tables.queue, place="id"),
    *_of(tables.queue, "cell_id", "experiment", "status", "priority", "waits_for", "asked_hash"),
    *_of(tables.queue, "rerun", "run_id", claims="fence"),
    *_of(tables.queue, "worker", "lease_until", "deaths", "death", "reason"),
    *_of(tables.queue, "created_at", "ended_at"),
    comment="One row per submitted cell and per rerun: what is to be done, and who does it",
)

schema_revision = Table(
    "schema_revision",
    metadata,
    _given("revision", Text, comment="the newest migration that the database has seen"),
    comment="One row: which version of the tables this is",
)
