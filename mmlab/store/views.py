"""The views of the store: what analysts read. They stay stable, and show done runs only.

`submitted_cells` alone shows what is not done, too.

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

#: Apart from the tables' metadata, so that migrations do not take a view for a table.
metadata = MetaData()

# A column of any type; its values are never touched here.
AnyColumn = Column[Any]


def _given(name: str, kind: Any, comment: str) -> AnyColumn:
    """A column that is never NULL; a view cannot say so itself."""
    return Column(name, kind, nullable=False, comment=comment)


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
