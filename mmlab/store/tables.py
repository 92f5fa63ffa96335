"""The tables of the store. Their comments are the analysts' manual, and `column_docs` repeats them.

Ids are integers but for a run's, which is 32 hexadecimal digits. Times are UTC. JSON is kept as
text. The views that analysts should prefer are in `mmlab.store.views`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

#: The newest migration: the only revision of a database that this program works with.
REVISION = "0010"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

STATUSES = ("queued", "running", "done", "failed", "cancelled")
QUEUED = ("queued", "running", "done", "failed", "blocked", "cancelled")
PARTS = ("queued", "running", "done")
OUTCOMES = (
    *("ok", "error", "oom", "nan", "disk_full", "preempted", "lost", "interrupted"),
    *("died", "timeout", "cancelled", "device"),
)
VALUE_KINDS = ("finite", "nan", "inf", "-inf", "undefined")
BETTER = ("higher", "lower")
DECLARED = "what the metric is; NULL where nobody has declared it"


# A column of any type; its values are never touched here.
AnyColumn = Column[Any]


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def _held_while_running() -> CheckConstraint:
    """Whoever executes something says so and until when, and nobody else does."""
    return CheckConstraint(
        "(status = 'running') = (worker IS NOT NULL)"
        " AND (status = 'running') = (lease_until IS NOT NULL)",
        name="lease",
    )


def _unique_where(name: str, condition: str, *columns: str) -> Index:
    where = text(condition)
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


def _key(
    target: str, comment: str, *, is_primary: bool = False, nullable: bool = False
) -> AnyColumn:
    """A reference to a row of another table."""
    name = target.replace("s.id", "_id")
    key = ForeignKey(target)
    return Column(name, key, primary_key=is_primary, nullable=nullable, comment=comment)


specs = Table(
    "specs",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the spec"),
    Column("hash", Text, nullable=False, unique=True, comment="sha256 of text and resolved"),
    Column("name", Text, nullable=False, comment="file name, without its folder"),
    Column("text", Text, nullable=False, comment="the TOML file, exactly"),
    Column("resolved", Text, nullable=False, comment="JSON: the spec with every default filled in"),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="first submitted, UTC"),
    comment="One row per spec that was ever submitted",
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True, comment="32 hexadecimal digits"),
    _key("specs.id", "the spec it came from; NULL for imported results", nullable=True),
    Column("experiment", Text, nullable=False, comment="the spec's name"),
    Column("cell", Text, nullable=False, comment="what differs from its sweep's other cells"),
    Column("axes", Text, nullable=False, comment="JSON: the sweep's dotted paths and their values"),
    Column("resolved", Text, nullable=False, comment="JSON: the spec as the run executes it"),
    Column("train_hash", Text, nullable=False, comment="identity of the training, seed included"),
    Column("group_hash", Text, nullable=False, comment="the train hash without its seed"),
    Column("seed", BigInteger, nullable=False, comment="seed of all randomness"),
    Column("replicate", Integer, nullable=False, comment="0, or more for wanted repetitions"),
    Column("status", Text, nullable=False, comment="queued, running, done, failed or cancelled"),
    Column("fence", Integer, nullable=False, comment="times claimed; older claims are void"),
    Column("worker", Text, comment="the process executing it; NULL unless running"),
    Column("lease_until", DateTime(timezone=True), comment="free after this; NULL unless running"),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="first submitted, UTC"),
    Column("started_at", DateTime(timezone=True), comment="last claimed, UTC"),
    Column("finished_at", DateTime(timezone=True), comment="done, failed or cancelled, UTC"),
    Column("provenance", Text, nullable=False, comment="JSON: code, versions, machine, data"),
    Column("summary", Text, nullable=False, comment="JSON: durations, memory, speed"),
    Column("error", Text, comment="why it failed, in one paragraph; NULL unless failed"),
    Column("origin", Text, comment="what it was imported from; NULL for a run executed here"),
    UniqueConstraint("train_hash", "replicate"),
    Index(None, "experiment", "created_at"),
    Index(None, "status", "created_at"),
    _one_of("status", STATUSES),
    _held_while_running(),
    CheckConstraint(
        "(status IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="finished"
    ),
    comment="One row per run: the execution of one cell of a spec's sweep",
)

identities = Table(
    "identities",
    metadata,
    Column("hash", Text, primary_key=True, comment="a run's group hash, or an evaluation hash"),
    Column("content", Text, nullable=False, comment="JSON: every value, also those left out of it"),
    comment="One row per hash: the values it stands for, so that a hit by hash can be confirmed",
)

cells = Table(
    "cells",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the cell, higher if newer"),
    _key("specs.id", "the spec it belongs to"),
    _key("runs.id", "the run it is; NULL where none was found yet", nullable=True),
    Column("hash", Text, nullable=False, comment="sha256 of all that the cell says"),
    Column("experiment", Text, nullable=False, comment="the spec's name"),
    Column("position", Integer, comment="place in its sweep, from 0; NULL where it is unknown"),
    Column("seed", BigInteger, nullable=False, comment="seed of all randomness"),
    Column("label", Text, nullable=False, comment="what differs from its sweep's other cells"),
    Column("axes", Text, nullable=False, comment="JSON: the sweep's dotted paths and their values"),
    Column(
        "overrides", Text, comment="JSON: texts of --set, files of --set-file; NULL where unknown"
    ),
    Column("budget", BigInteger, comment="parameters of fusion and head to meet; NULL if none"),
    Column(
        "resolved",
        Text,
        nullable=False,
        comment="JSON: its own spec as asked, in order, defaults filled in, paths absolute",
    ),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="first submitted, UTC"),
    Column("submitted_at", DateTime(timezone=True), nullable=False, comment="last submitted, UTC"),
    UniqueConstraint("run_id", "spec_id", "hash"),
    _unique_where("uq_cells_without_run", "run_id IS NULL", "spec_id", "hash"),
    Index(None, "spec_id", "position"),
    comment="One row per cell of a spec's sweep and run that it is; several cells may be one run",
)

attempts = Table(
    "attempts",
    metadata,
    _key("runs.id", "the run", is_primary=True),
    Column("fence", Integer, primary_key=True, comment="1 for the first attempt"),
    Column("worker", Text, nullable=False, comment="the process that made it"),
    Column("started_at", DateTime(timezone=True), nullable=False, comment="claimed, UTC"),
    Column("finished_at", DateTime(timezone=True), comment="ended, UTC; NULL while running"),
    Column("outcome", Text, comment="how it ended: ok, error, oom, nan, ...; NULL while running"),
    Column("message", Text, comment="why it did not succeed"),
    Column("traceback", Text, comment="the program's full account of a failure"),
    _one_of("outcome", OUTCOMES),
    comment="One row per claim of a run: every try is kept, also those that failed",
)

queue = Table(
    "queue",
    metadata,
    Column("id", Integer, primary_key=True, comment="place in the queue"),
    _key("cells.id", "what is asked for: a cell without a run"),
    Column("experiment", Text, nullable=False, comment="the spec's name, as in the cell"),
    Column(
        "status",
        Text,
        nullable=False,
        comment="queued, running, done, failed, cancelled, or blocked: what it starts from failed",
    ),
    Column("priority", Integer, nullable=False, comment="higher ones are claimed first; usually 0"),
    Column(
        "waits_for",
        Text,
        nullable=False,
        comment="JSON: experiments, or ids of runs, that must have ended before it can start",
    ),
    Column("asked_hash", Text, comment="train hash as the submitter computed it; NULL if unknown"),
    Column(
        "rerun", Boolean, nullable=False, comment="whether one more replicate is wanted in any case"
    ),
    _key("runs.id", "the run it became; NULL before it was begun", nullable=True),
    Column("fence", Integer, nullable=False, comment="times claimed; older claims are void"),
    Column("worker", Text, comment="the process that has it; NULL unless running"),
    Column("lease_until", DateTime(timezone=True), comment="free after this; NULL unless running"),
    Column(
        "deaths",
        Integer,
        nullable=False,
        comment="how often in a row the process of the cell died equally",
    ),
    Column("death", Text, comment="how it died last: exit code or signal; NULL if it never did"),
    Column(
        "reason", Text, comment="why it was given back, blocked, failed or cancelled; else NULL"
    ),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="first submitted, UTC"),
    Column("ended_at", DateTime(timezone=True), comment="done, failed or cancelled, UTC"),
    _one_of("status", QUEUED),
    _held_while_running(),
    CheckConstraint(
        "(status IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL)", name="ended"
    ),
    _unique_where(
        "uq_queue_open", "status IN ('queued', 'running', 'blocked') AND NOT rerun", "cell_id"
    ),
    Index(None, "experiment", "status"),
    Index(None, "run_id"),
    Index(None, "cell_id"),
    Index(
        "ix_queue_waiting",
        "status",
        "experiment",
        sqlite_where=text("waits_for <> '[]'"),
        postgresql_where=text("waits_for <> '[]'"),
    ),
    comment="One row per submitted cell and per rerun: what is to be done, and who does it",
)
# In the order in which cells are claimed.
Index("ix_queue_status_priority_id", queue.c.status, queue.c.priority.desc(), queue.c.id)

evaluation_parts = Table(
    "evaluation_parts",
    metadata,
    _key("runs.id", "the run that is evaluated", is_primary=True),
    Column("evaluation_hash", Text, primary_key=True, comment="as of the evaluation to be"),
    Column("work", Text, primary_key=True, comment="what is made, in words and as hashes"),
    Column("part", Integer, primary_key=True, comment="its place in the work, from 0"),
    Column(
        "first", BigInteger, nullable=False, comment="its first item (sample, text, ...), from 0"
    ),
    Column("count", BigInteger, nullable=False, comment="how many items it has"),
    Column("status", Text, nullable=False, comment="queued, running or done"),
    Column("fence", Integer, nullable=False, comment="times claimed; older claims are void"),
    Column("worker", Text, comment="the process computing it; NULL unless running"),
    Column("lease_until", DateTime(timezone=True), comment="free after this; NULL unless running"),
    Column("digest", Text, comment="sha256 of the file of its results; NULL unless done"),
    Column("path", Text, comment="that file, relative to the runs folder; NULL unless done"),
    _one_of("status", PARTS),
    _held_while_running(),
    sqlite_with_rowid=False,
    comment="One row per part of an evaluation that is not merged yet",
)

label_sets = Table(
    "label_sets",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the label set"),
    Column("hash", Text, nullable=False, unique=True, comment="sha256 of the texts in order"),
    Column("label_count", Integer, nullable=False, comment="how many labels it has"),
    comment="One row per ordered set of labels that something was scored against",
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the label"),
    _key("label_sets.id", "the set it belongs to"),
    Column("position", Integer, nullable=False, comment="the dataset's label id, from 0"),
    Column("text", Text, nullable=False, comment="the label exactly as the dataset gives it"),
    Column("text_hash", Text, nullable=False, comment="sha256 of text; long texts fit no index"),
    UniqueConstraint("label_set_id", "position"),
    UniqueConstraint("label_set_id", "text_hash"),
    comment="One row per label of a label set",
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the sample"),
    Column("dataset_revision", Text, nullable=False, comment="identifies the dataset's content"),
    Column("split", Text, nullable=False, comment="train, validation or test"),
    Column("stable_id", Text, nullable=False, comment="the dataset's own id of the sample"),
    Column("cluster", Text, comment="what it was drawn together with (a person); NULL: alone"),
    UniqueConstraint("dataset_revision", "split", "stable_id"),
    comment="One row per sample that was evaluated at least once",
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the evaluation"),
    _key("runs.id", "the run it evaluates"),
    Column("name", Text, nullable=False, comment="its name in the spec, shown in reports"),
    Column("evaluator", Text, nullable=False, comment="the evaluator: zero_shot, retrieval, ..."),
    Column("condition", Text, nullable=False, comment="which of several results; usually empty"),
    Column("split", Text, nullable=False, comment="train, validation or test"),
    Column("dataset_revision", Text, nullable=False, comment="identifies the dataset's content"),
    Column("step", BigInteger, comment="training step of the weights; NULL if untrained"),
    Column("evaluation_hash", Text, nullable=False, comment="train hash and evaluator's options"),
    Column("protocol_hash", Text, nullable=False, comment="results compare only where it is equal"),
    Column("protocol", Text, nullable=False, comment="JSON: all that must be equal to compare"),
    Column("subject_hash", Text, nullable=False, comment="sha256 of subject"),
    Column(
        "subject", Text, nullable=False, comment="JSON: weights, precision, scale, preprocessing"
    ),
    _key("label_sets.id", "the labels scored against; NULL if none", nullable=True),
    Column("templates", Text, nullable=False, comment="JSON: the prompt templates, in order"),
    Column("sample_count", Integer, nullable=False, comment="samples scored"),
    Column("skipped_count", Integer, nullable=False, comment="samples that could not take part"),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="recorded, UTC"),
    Column(
        "test_set",
        Text,
        comment="published name of the samples, split included; NULL if the dataset has none",
    ),
    Column(
        "main_metric", Text, comment="the metric quoted for that test set; NULL for the usual one"
    ),
    Column(
        "suite",
        Text,
        comment="JSON: keys of the datasets asked as one suite, its own included; NULL if alone",
    ),
    UniqueConstraint("run_id", "evaluation_hash", "name", "condition"),
    Index(None, "protocol_hash"),
    Index(None, "run_id", "protocol_hash", "condition"),
    comment="One row per result of an evaluator on a run; more may be added to a finished run",
)

metric_declarations = Table(
    "metric_declarations",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the declaration"),
    Column("hash", Text, nullable=False, unique=True, comment="sha256 of all that it declares"),
    Column("name", Text, nullable=False, comment="the metric's name, as in metrics.name"),
    Column("better", Text, comment="which values are better: higher, lower; NULL if neither"),
    Column("unit", Text, nullable=False, comment="share (of 1), rank, nats, ...; empty if none"),
    Column(
        "position",
        Integer,
        nullable=False,
        comment="place among the metrics of one evaluation; the first present one ranks it",
    ),
    Column(
        "mean_of",
        Text,
        comment="mean of what of sample_results: outcome, -outcome, rank<=K (share), median rank",
    ),
    Column("low_of", Text, comment="the metric of whose 95% interval it is the low end, or NULL"),
    Column("high_of", Text, comment="the metric of whose 95% interval it is the high end, or NULL"),
    Column(
        "board",
        Text,
        nullable=False,
        comment="which table of a report shows it: leaderboard or robustness",
    ),
    Column(
        "has_gain", Boolean, nullable=False, comment="whether fusion gains are told of its outcomes"
    ),
    _one_of("better", BETTER),
    comment="One row per declaration of a metric, as whoever gave it made it with the results",
)

metrics = Table(
    "metrics",
    metadata,
    _key("runs.id", "the run"),
    _key(
        "evaluations.id", "the evaluation it belongs to; NULL for a curve's points", nullable=True
    ),
    Column("name", Text, nullable=False, comment="top1, or train/loss for a curve"),
    Column("step", BigInteger, comment="training step; NULL for an evaluation's metric"),
    Column("value", Double, comment="the value; NULL unless value_kind is finite"),
    Column(
        "value_kind", Text, nullable=False, comment="finite, nan, inf, -inf, or undefined: no value"
    ),
    _key("metric_declarations.id", DECLARED, nullable=True),
    _one_of("value_kind", VALUE_KINDS),
    CheckConstraint("(value_kind = 'finite') = (value IS NOT NULL)", name="value"),
    CheckConstraint("(evaluation_id IS NULL) = (step IS NOT NULL)", name="step"),
    _unique_where("uq_metrics_curve", "evaluation_id IS NULL", "run_id", "name", "step"),
    _unique_where("uq_metrics_final", "evaluation_id IS NOT NULL", "evaluation_id", "name"),
    comment="One row per value: points of training curves, and final metrics of evaluations",
)

# `artifacts` is a view.
artifacts = Table(
    "run_artifacts",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the artifact"),
    _key("runs.id", "the run that left it"),
    _key("evaluations.id", "the evaluation it belongs to, if one", nullable=True),
    _key("samples.id", "the sample it belongs to, if one", nullable=True),
    Column("role", Text, nullable=False, comment="what it is for: best, final, ..."),
    Column("path", Text, nullable=False, comment="path relative to the runs folder"),
    Column("sha256", Text, nullable=False, comment="of the file's bytes"),
    Column("size_bytes", BigInteger, nullable=False, comment="of the file"),
    UniqueConstraint("run_id", "path"),
    comment="One row per file that a run left",
)

sample_results = Table(
    "sample_results",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("samples.id", "the sample", is_primary=True),
    Column("rank", Integer, comment="best rank of a true label, from 1; NULL if unknown"),
    Column("probability", REAL, comment="of that label; NULL where scores are no probabilities"),
    Column("top_label_id", ForeignKey("labels.id"), comment="the label ranked first, if any"),
    Column("top_probability", REAL, comment="of the label ranked first; NULL as above"),
    Column("has_tie", Boolean, nullable=False, comment="another label scored as the true one did"),
    Column("outcome", REAL, comment="what paired statistics compare; higher is better"),
    sqlite_with_rowid=False,
    comment="One row per evaluation and sample (or query)",
)

sample_truths = Table(
    "sample_truths",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("samples.id", "the sample", is_primary=True),
    _key("labels.id", "a true label of it", is_primary=True),
    sqlite_with_rowid=False,
    comment="One row per true label of an evaluated sample; several for multi-label data",
)

sample_targets = Table(
    "sample_targets",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("samples.id", "the sample", is_primary=True),
    Column("target", Text, primary_key=True, comment="what was predicted, by its name"),
    Column("truth", Double, comment="its value; NULL where it is unknown"),
    Column("prediction", Double, comment="in the same unit; NULL if not a number"),
    sqlite_with_rowid=False,
    comment="One row per evaluation, sample and number predicted: what regressions compare",
)

# Without references, as `detections`: checking three for each of its many rows made writing it
# seven times slower on Postgres. Its one writer takes the numbers from those tables in one
# transaction.
rankings = Table(
    "rankings",
    metadata,
    Column("evaluation_id", Integer, primary_key=True, comment="the evaluation: evaluations.id"),
    Column("sample_id", Integer, primary_key=True, comment="the sample: samples.id"),
    Column("rank", SmallInteger, primary_key=True, comment="1 for the label ranked first"),
    Column("label_id", Integer, nullable=False, comment="the label at this rank: labels.id"),
    Column("score", REAL, comment="its probability, or score; NULL if not a number"),
    sqlite_with_rowid=False,
    comment="One row per evaluation, sample and rank: the first labels of every sample",
)


def _box() -> list[AnyColumn | CheckConstraint]:
    """A box in pixels of its picture, x to the right and y down."""
    ends = {"x0": "left", "y0": "upper", "x1": "right", "y1": "lower"}
    return [
        *(
            Column(name, Double, nullable=False, comment=f"{side} end of the box in pixels")
            for name, side in ends.items()
        ),
        CheckConstraint("x0 < x1 AND y0 < y1", name="box"),
    ]


# Without references, as `rankings` and for the same reason.
detections = Table(
    "detections",
    metadata,
    Column("evaluation_id", Integer, primary_key=True, comment="the evaluation: evaluations.id"),
    Column("sample_id", Integer, primary_key=True, comment="the picture: samples.id"),
    Column("rank", Integer, primary_key=True, comment="1 for the surest box of the picture"),
    Column("label_id", Integer, nullable=False, comment="the label of what is in it: labels.id"),
    *_box(),
    Column("score", Double, nullable=False, comment="how sure it is; higher is surer"),
    Column("truth", Integer, comment="number of the true box that it is; NULL if it is none"),
    CheckConstraint("rank >= 1", name="rank"),
    sqlite_with_rowid=False,
    comment="One row per box that was found in a picture",
)

true_boxes = Table(
    "true_boxes",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("samples.id", "the picture", is_primary=True),
    Column("number", Integer, primary_key=True, comment="of the box in its picture, from 0"),
    _key("labels.id", "the label of what is in it"),
    *_box(),
    Column("area", Double, nullable=False, comment="of the object in square pixels"),
    Column("is_crowd", Boolean, nullable=False, comment="around many that nobody told apart"),
    Column("is_difficult", Boolean, nullable=False, comment="nobody needs to find it"),
    sqlite_with_rowid=False,
    comment="One row per box that is in a picture of an evaluation that looks for boxes",
)

label_metrics = Table(
    "label_metrics",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("labels.id", "the label", is_primary=True),
    Column("name", Text, primary_key=True, comment="recall, support, mean_rank, ..."),
    Column("value", REAL, comment="NULL where it is not defined"),
    _key("metric_declarations.id", DECLARED, nullable=True),
    sqlite_with_rowid=False,
    comment="One row per evaluation, label and metric",
)

confusions = Table(
    "confusions",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    Column("truth_id", ForeignKey("labels.id"), primary_key=True, comment="a true label"),
    Column("predicted_id", ForeignKey("labels.id"), primary_key=True, comment="ranked first"),
    Column("sample_count", Integer, nullable=False, comment="samples of this pair"),
    sqlite_with_rowid=False,
    comment="One row per evaluation and pair of a true label and a label ranked first",
)

reliability = Table(
    "reliability",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    Column(
        "bin", SmallInteger, primary_key=True, comment="from 0, by the first label's probability"
    ),
    Column("low", REAL, nullable=False, comment="probabilities in the bin are above this"),
    Column("high", REAL, nullable=False, comment="and at most this"),
    Column("sample_count", Integer, nullable=False, comment="samples in the bin"),
    Column("probability", REAL, comment="their mean; NULL in an empty bin"),
    Column("accuracy", REAL, comment="share whose first label is true; NULL in an empty bin"),
    sqlite_with_rowid=False,
    comment="One row per evaluation and bin: are probabilities of first labels what they say?",
)

shots = Table(
    "shots",
    metadata,
    _key("evaluations.id", "the evaluation", is_primary=True),
    _key("samples.id", "a training sample it learnt from", is_primary=True),
    sqlite_with_rowid=False,
    comment="One row per training sample of a few-shot evaluation",
)

skipped_samples = Table(
    "skipped_samples",
    metadata,
    _key("runs.id", "the run", is_primary=True),
    Column("dataset_revision", Text, primary_key=True, comment="of the data without these samples"),
    Column("split", Text, primary_key=True, comment="train, validation or test"),
    Column("position", Integer, primary_key=True, comment="in the dataset's order, from 0"),
    Column("sample", Text, nullable=False, comment="the dataset's own id, or its position"),
    Column("reason", Text, nullable=False, comment="why it could not be read"),
    sqlite_with_rowid=False,
    comment="One row per run and sample that could not be read and was left out as the spec allows",
)

pictures = Table(
    "pictures",
    metadata,
    Column("id", Integer, primary_key=True, comment="number of the picture"),
    Column("hash", Text, nullable=False, unique=True, comment="sha256 of the bytes"),
    Column("size_bytes", Integer, nullable=False, comment="of the bytes"),
    Column("image", LargeBinary, nullable=False, comment="a small picture, WebP bytes"),
    comment="One row per small picture; several samples may have the same",
)

thumbnails = Table(
    "thumbnails",
    metadata,
    _key("samples.id", "the sample", is_primary=True),
    Column(
        "place",
        BigInteger,
        nullable=False,
        comment="63 bits of the sha256 of its id: the lowest stay where there is no room",
    ),
    _key("pictures.id", "its small picture"),
    Column("width", Integer, comment="of the whole picture in pixels; NULL if unknown"),
    Column("height", Integer, comment="of the whole picture in pixels; NULL if unknown"),
    comment="One row per sample that has a small picture, so that reports need no dataset",
)

properties = Table(
    "properties",
    metadata,
    Column("key", Text, primary_key=True, comment="id, or runs_folder"),
    Column(
        "value",
        Text,
        nullable=False,
        comment="this database's own uuid; the token of the folder where its runs leave files",
    ),
    comment="One row per fact about the database itself",
)

column_docs = Table(
    "column_docs",
    metadata,
    Column("table_name", Text, primary_key=True, comment="a table or view"),
    Column("column_name", Text, primary_key=True, comment="its column; empty for the table itself"),
    Column("meaning", Text, nullable=False, comment="what it holds"),
    comment="What every table, view and column holds; some databases keep no comments",
)
