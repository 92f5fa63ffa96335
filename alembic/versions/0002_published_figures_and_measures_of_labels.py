"""Published figures beside one's own, and more about labels, probabilities and samples left out.

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ORIGIN = "what it was imported from; NULL for a run executed here"
TEST_SET = "published name of the samples, split included; NULL if the dataset has none"
MAIN_METRIC = "the metric quoted for that test set; NULL for the usual one"

RUN = """runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash"""

EVALUATION = """evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash"""

OLD_LEADERBOARD = f"""
SELECT {RUN},
    evaluations.id AS evaluation_id, {EVALUATION},
    evaluations.evaluator, evaluations.sample_count, evaluations.skipped_count,
    metrics.name AS metric, metrics.value, metrics.value_kind, runs.finished_at
FROM metrics
JOIN evaluations ON evaluations.id = metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done'
"""

LEADERBOARD = OLD_LEADERBOARD.replace(
    "runs.finished_at\n",
    "runs.finished_at,\n    runs.origin, evaluations.test_set, evaluations.main_metric\n",
)

VIEWS = {
    "target_predictions": f"""
SELECT {RUN},
    evaluations.id AS evaluation_id, {EVALUATION},
    samples.stable_id AS sample, sample_targets.target, sample_targets.truth,
    sample_targets.prediction
FROM sample_targets
JOIN evaluations ON evaluations.id = sample_targets.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = sample_targets.sample_id
WHERE runs.status = 'done'
""",
    "label_confusions": f"""
SELECT {RUN},
    evaluations.id AS evaluation_id, {EVALUATION},
    truths.text AS truth, predictions.text AS predicted, confusions.sample_count
FROM confusions
JOIN evaluations ON evaluations.id = confusions.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN labels AS truths ON truths.id = confusions.truth_id
JOIN labels AS predictions ON predictions.id = confusions.predicted_id
WHERE runs.status = 'done'
""",
    "reliability_bins": f"""
SELECT {RUN},
    evaluations.id AS evaluation_id, {EVALUATION},
    reliability.bin, reliability.low, reliability.high, reliability.sample_count,
    reliability.probability, reliability.accuracy
FROM reliability
JOIN evaluations ON evaluations.id = reliability.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done'
""",
}


def upgrade() -> None:
    op.add_column("runs", sa.Column("origin", sa.Text(), comment=ORIGIN))
    op.add_column("evaluations", sa.Column("test_set", sa.Text(), comment=TEST_SET))
    op.add_column("evaluations", sa.Column("main_metric", sa.Text(), comment=MAIN_METRIC))
    op.execute("DROP VIEW leaderboard")
    op.execute(f"CREATE VIEW leaderboard AS {LEADERBOARD}")
    _create_tables_of_evaluations()
    _create_sample_targets()
    _create_skipped_samples()
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for table in ("skipped_samples", "sample_targets", "shots", "reliability", "confusions"):
        op.drop_table(table)
    op.execute("DROP VIEW leaderboard")
    op.drop_column("evaluations", "main_metric")
    op.drop_column("evaluations", "test_set")
    op.drop_column("runs", "origin")
    op.execute(f"CREATE VIEW leaderboard AS {OLD_LEADERBOARD}")


def _create_tables_of_evaluations() -> None:
    op.create_table(
        "confusions",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("truth_id", sa.Integer(), nullable=False, comment="a true label"),
        sa.Column("predicted_id", sa.Integer(), nullable=False, comment="ranked first"),
        sa.Column("sample_count", sa.Integer(), nullable=False, comment="samples of this pair"),
        _reference("confusions", "evaluation_id", "evaluations"),
        _reference("confusions", "truth_id", "labels"),
        _reference("confusions", "predicted_id", "labels"),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "truth_id", "predicted_id", name=op.f("pk_confusions")
        ),
        comment="One row per evaluation and pair of a true label and a label ranked first",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reliability",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column(
            "bin",
            sa.SmallInteger(),
            nullable=False,
            comment="from 0, by the first label's probability",
        ),
        sa.Column(
            "low", sa.REAL(), nullable=False, comment="probabilities in the bin are above this"
        ),
        sa.Column("high", sa.REAL(), nullable=False, comment="and at most this"),
        sa.Column("sample_count", sa.Integer(), nullable=False, comment="samples in the bin"),
        sa.Column("probability", sa.REAL(), comment="their mean; NULL in an empty bin"),
        sa.Column(
            "accuracy", sa.REAL(), comment="share whose first label is true; NULL in an empty bin"
        ),
        _reference("reliability", "evaluation_id", "evaluations"),
        sa.PrimaryKeyConstraint("evaluation_id", "bin", name=op.f("pk_reliability")),
        comment="One row per evaluation and bin: are probabilities of first labels what they say?",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shots",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column(
            "sample_id", sa.Integer(), nullable=False, comment="a training sample it learnt from"
        ),
        _reference("shots", "evaluation_id", "evaluations"),
        _reference("shots", "sample_id", "samples"),
        sa.PrimaryKeyConstraint("evaluation_id", "sample_id", name=op.f("pk_shots")),
        comment="One row per training sample of a few-shot evaluation",
        sqlite_with_rowid=False,
    )


def _create_sample_targets() -> None:
    op.create_table(
        "sample_targets",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column("target", sa.Text(), nullable=False, comment="what was predicted, by its name"),
        sa.Column("truth", sa.Double(), comment="its value; NULL where it is unknown"),
        sa.Column("prediction", sa.Double(), comment="in the same unit; NULL if not a number"),
        _reference("sample_targets", "evaluation_id", "evaluations"),
        _reference("sample_targets", "sample_id", "samples"),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "sample_id", "target", name=op.f("pk_sample_targets")
        ),
        comment="One row per evaluation, sample and number predicted: what regressions compare",
        sqlite_with_rowid=False,
    )


def _create_skipped_samples() -> None:
    op.create_table(
        "skipped_samples",
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column(
            "dataset_revision",
            sa.Text(),
            nullable=False,
            comment="of the data without these samples",
        ),
        sa.Column("split", sa.Text(), nullable=False, comment="train, validation or test"),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="in the dataset's order, from 0"
        ),
        sa.Column(
            "sample", sa.Text(), nullable=False, comment="the dataset's own id, or its position"
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it could not be read"),
        _reference("skipped_samples", "run_id", "runs"),
        sa.PrimaryKeyConstraint(
            "run_id", "dataset_revision", "split", "position", name=op.f("pk_skipped_samples")
        ),
        comment="One row per run and sample that could not be read and was left out as the spec "
        "allows",
        sqlite_with_rowid=False,
    )


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))
