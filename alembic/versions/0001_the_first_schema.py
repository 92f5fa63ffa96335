"""The first schema.

Revision ID: 0001
Revises:
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = (
    "specs",
    "runs",
    "attempts",
    "label_sets",
    "labels",
    "samples",
    "thumbnails",
    "column_docs",
    "evaluations",
    "metrics",
    "artifacts",
    "sample_results",
    "sample_truths",
    "rankings",
    "label_metrics",
)

RUN = """{0}.id AS {1}run_id, {0}.experiment AS {1}experiment, {0}.cell AS {1}cell,
    {0}.axes AS {1}axes, {0}.seed AS {1}seed, {0}.replicate AS {1}replicate,
    {0}.group_hash AS {1}group_hash"""

EVALUATION = """evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash"""

VIEWS = {
    "leaderboard": f"""
SELECT {RUN.format("runs", "")},
    evaluations.id AS evaluation_id, {EVALUATION},
    evaluations.evaluator, evaluations.sample_count, evaluations.skipped_count,
    metrics.name AS metric, metrics.value, metrics.value_kind, runs.finished_at
FROM metrics
JOIN evaluations ON evaluations.id = metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done'
""",
    "label_rankings": f"""
SELECT {RUN.format("runs", "")},
    evaluations.id AS evaluation_id, {EVALUATION},
    samples.stable_id AS sample, rankings.rank, labels.text AS label, rankings.score,
    sample_truths.label_id IS NOT NULL AS is_truth
FROM rankings
JOIN evaluations ON evaluations.id = rankings.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = rankings.sample_id
JOIN labels ON labels.id = rankings.label_id
LEFT JOIN sample_truths ON sample_truths.evaluation_id = rankings.evaluation_id
    AND sample_truths.sample_id = rankings.sample_id
    AND sample_truths.label_id = rankings.label_id
WHERE runs.status = 'done'
""",
    "curves": f"""
SELECT {RUN.format("runs", "")},
    metrics.name AS metric, metrics.step, metrics.value, metrics.value_kind
FROM metrics
JOIN runs ON runs.id = metrics.run_id
WHERE metrics.evaluation_id IS NULL AND runs.status = 'done'
""",
    "comparisons": f"""
SELECT {EVALUATION}, samples.stable_id AS sample,
    {RUN.format("left_run", "left_")},
    left_result.rank AS left_rank, left_result.outcome AS left_outcome,
    {RUN.format("right_run", "right_")},
    right_result.rank AS right_rank, right_result.outcome AS right_outcome
FROM evaluations
JOIN runs AS left_run ON left_run.id = evaluations.run_id
JOIN evaluations AS other ON other.protocol_hash = evaluations.protocol_hash
    AND other.condition = evaluations.condition AND other.run_id <> evaluations.run_id
JOIN runs AS right_run ON right_run.id = other.run_id
JOIN sample_results AS left_result ON left_result.evaluation_id = evaluations.id
JOIN sample_results AS right_result ON right_result.evaluation_id = other.id
    AND right_result.sample_id = left_result.sample_id
JOIN samples ON samples.id = left_result.sample_id
WHERE left_run.status = 'done' AND right_run.status = 'done'
""",
}


def upgrade() -> None:
    _create_runs()
    _create_attempts()
    _create_data()
    _create_evaluations()
    _create_metrics()
    _create_results()
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_runs() -> None:
    op.create_table(
        "specs",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the spec"),
        sa.Column("hash", sa.Text(), nullable=False, comment="sha256 of text and resolved"),
        sa.Column("name", sa.Text(), nullable=False, comment="file name, without its folder"),
        sa.Column("text", sa.Text(), nullable=False, comment="the TOML file, exactly"),
        sa.Column(
            "resolved",
            sa.Text(),
            nullable=False,
            comment="JSON: the spec with every default filled in",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="first submitted, UTC"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specs")),
        sa.UniqueConstraint("hash", name=op.f("uq_specs_hash")),
        comment="One row per spec that was ever submitted",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False, comment="32 hexadecimal digits"),
        sa.Column(
            "spec_id",
            sa.Integer(),
            nullable=True,
            comment="the spec it came from; NULL for imported results",
        ),
        sa.Column("experiment", sa.Text(), nullable=False, comment="the spec's name"),
        sa.Column(
            "cell",
            sa.Text(),
            nullable=False,
            comment="what differs from its sweep's other cells",
        ),
        sa.Column(
            "axes",
            sa.Text(),
            nullable=False,
            comment="JSON: the sweep's dotted paths and their values",
        ),
        sa.Column(
            "resolved", sa.Text(), nullable=False, comment="JSON: the cell's own spec, axes applied"
        ),
        sa.Column(
            "train_hash",
            sa.Text(),
            nullable=False,
            comment="identity of the training, seed included",
        ),
        sa.Column(
            "group_hash", sa.Text(), nullable=False, comment="the train hash without its seed"
        ),
        sa.Column("seed", sa.BigInteger(), nullable=False, comment="seed of all randomness"),
        sa.Column(
            "replicate", sa.Integer(), nullable=False, comment="0, or more for wanted repetitions"
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="queued, running, done, failed or cancelled",
        ),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="times claimed; older claims are void",
        ),
        sa.Column(
            "worker",
            sa.Text(),
            nullable=True,
            comment="the process executing it; NULL unless running",
        ),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="free after this; NULL unless running",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="first submitted, UTC"
        ),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), nullable=True, comment="last claimed, UTC"
        ),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="done, failed or cancelled, UTC",
        ),
        sa.Column(
            "provenance", sa.Text(), nullable=False, comment="JSON: code, versions, machine, data"
        ),
        sa.Column(
            "summary",
            sa.Text(),
            nullable=False,
            comment="JSON: durations, memory, speed",
        ),
        sa.Column(
            "error",
            sa.Text(),
            nullable=True,
            comment="why it failed, in one paragraph; NULL unless failed",
        ),
        sa.CheckConstraint(
            "(status = 'running') = (worker IS NOT NULL)"
            " AND (status = 'running') = (lease_until IS NOT NULL)",
            name=op.f("ck_runs_lease"),
        ),
        sa.CheckConstraint(
            "(status IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_runs_finished"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_runs_status"),
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["specs.id"], name=op.f("fk_runs_spec_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("train_hash", "replicate", name=op.f("uq_runs_train_hash_replicate")),
        comment="One row per run: the execution of one cell of a spec's sweep",
    )
    op.create_index(
        op.f("ix_runs_experiment_created_at"), "runs", ["experiment", "created_at"], unique=False
    )
    op.create_index(
        op.f("ix_runs_status_created_at"), "runs", ["status", "created_at"], unique=False
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("fence", sa.Integer(), nullable=False, comment="1 for the first attempt"),
        sa.Column("worker", sa.Text(), nullable=False, comment="the process that made it"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="claimed, UTC"),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="ended, UTC; NULL while running",
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="how it ended: ok, error, oom, nan, ...; NULL while running",
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="why it did not succeed"),
        sa.Column(
            "traceback", sa.Text(), nullable=True, comment="the program's full account of a failure"
        ),
        sa.CheckConstraint(
            "outcome IN ('ok', 'error', 'oom', 'nan', 'disk_full', 'preempted', 'lost',"
            " 'interrupted')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_attempts_run_id")),
        sa.PrimaryKeyConstraint("run_id", "fence", name=op.f("pk_attempts")),
        comment="One row per claim of a run: every try is kept, also those that failed",
    )


def _create_data() -> None:
    op.create_table(
        "label_sets",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the label set"),
        sa.Column("hash", sa.Text(), nullable=False, comment="sha256 of the texts in order"),
        sa.Column("label_count", sa.Integer(), nullable=False, comment="how many labels it has"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_sets")),
        sa.UniqueConstraint("hash", name=op.f("uq_label_sets_hash")),
        comment="One row per ordered set of labels that something was scored against",
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the label"),
        sa.Column("label_set_id", sa.Integer(), nullable=False, comment="the set it belongs to"),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="the dataset's label id, from 0"
        ),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="the label exactly as the dataset gives it"
        ),
        sa.Column(
            "text_hash",
            sa.Text(),
            nullable=False,
            comment="sha256 of text; long texts fit no index",
        ),
        sa.ForeignKeyConstraint(
            ["label_set_id"], ["label_sets.id"], name=op.f("fk_labels_label_set_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint(
            "label_set_id", "position", name=op.f("uq_labels_label_set_id_position")
        ),
        sa.UniqueConstraint(
            "label_set_id", "text_hash", name=op.f("uq_labels_label_set_id_text_hash")
        ),
        comment="One row per label of a label set",
    )
    op.create_table(
        "samples",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the sample"),
        sa.Column(
            "dataset_revision",
            sa.Text(),
            nullable=False,
            comment="identifies the dataset's content",
        ),
        sa.Column("split", sa.Text(), nullable=False, comment="train, validation or test"),
        sa.Column(
            "stable_id", sa.Text(), nullable=False, comment="the dataset's own id of the sample"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
        sa.UniqueConstraint(
            "dataset_revision",
            "split",
            "stable_id",
            name=op.f("uq_samples_dataset_revision_split_stable_id"),
        ),
        comment="One row per sample that was evaluated at least once",
    )
    op.create_table(
        "thumbnails",
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column(
            "image", sa.LargeBinary(), nullable=False, comment="a small picture of it, WebP bytes"
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_thumbnails_sample_id")
        ),
        sa.PrimaryKeyConstraint("sample_id", name=op.f("pk_thumbnails")),
        comment="One row per sample that has a small picture, so that reports need no dataset",
    )
    op.create_table(
        "column_docs",
        sa.Column("table_name", sa.Text(), nullable=False, comment="a table or view"),
        sa.Column(
            "column_name",
            sa.Text(),
            nullable=False,
            comment="its column; empty for the table itself",
        ),
        sa.Column("meaning", sa.Text(), nullable=False, comment="what it holds"),
        sa.PrimaryKeyConstraint("table_name", "column_name", name=op.f("pk_column_docs")),
        comment="What every table, view and column holds; some databases keep no comments",
    )


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the evaluation"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run it evaluates"),
        sa.Column(
            "name", sa.Text(), nullable=False, comment="its name in the spec, shown in reports"
        ),
        sa.Column(
            "evaluator",
            sa.Text(),
            nullable=False,
            comment="the evaluator: zero_shot, retrieval, ...",
        ),
        sa.Column(
            "condition",
            sa.Text(),
            nullable=False,
            comment="which of several results; usually empty",
        ),
        sa.Column("split", sa.Text(), nullable=False, comment="train, validation or test"),
        sa.Column(
            "dataset_revision",
            sa.Text(),
            nullable=False,
            comment="identifies the dataset's content",
        ),
        sa.Column(
            "step",
            sa.BigInteger(),
            nullable=True,
            comment="training step of the weights; NULL if untrained",
        ),
        sa.Column(
            "evaluation_hash",
            sa.Text(),
            nullable=False,
            comment="train hash and evaluator's options",
        ),
        sa.Column(
            "protocol_hash",
            sa.Text(),
            nullable=False,
            comment="results compare only where it is equal",
        ),
        sa.Column(
            "protocol", sa.Text(), nullable=False, comment="JSON: all that must be equal to compare"
        ),
        sa.Column("subject_hash", sa.Text(), nullable=False, comment="sha256 of subject"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="JSON: weights, precision, scale, preprocessing",
        ),
        sa.Column(
            "label_set_id",
            sa.Integer(),
            nullable=True,
            comment="the labels scored against; NULL if none",
        ),
        sa.Column(
            "templates", sa.Text(), nullable=False, comment="JSON: the prompt templates, in order"
        ),
        sa.Column("sample_count", sa.Integer(), nullable=False, comment="samples scored"),
        sa.Column(
            "skipped_count",
            sa.Integer(),
            nullable=False,
            comment="samples that could not take part",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="recorded, UTC"
        ),
        sa.ForeignKeyConstraint(
            ["label_set_id"], ["label_sets.id"], name=op.f("fk_evaluations_label_set_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_evaluations_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint(
            "run_id",
            "evaluation_hash",
            "name",
            "condition",
            name=op.f("uq_evaluations_run_id_evaluation_hash_name_condition"),
        ),
        comment="One row per result of an evaluator on a run; more may be added to a finished run",
    )
    op.create_index(
        op.f("ix_evaluations_protocol_hash"), "evaluations", ["protocol_hash"], unique=False
    )


def _create_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            nullable=True,
            comment="the evaluation it belongs to; NULL for a curve's points",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="top1, or train/loss for a curve"),
        sa.Column(
            "step",
            sa.BigInteger(),
            nullable=True,
            comment="training step; NULL for an evaluation's metric",
        ),
        sa.Column(
            "value",
            sa.Double(),
            nullable=True,
            comment="the value; NULL unless value_kind is finite",
        ),
        sa.Column(
            "value_kind",
            sa.Text(),
            nullable=False,
            comment="finite, nan, inf, -inf, or undefined: no value",
        ),
        sa.CheckConstraint(
            "(value_kind = 'finite') = (value IS NOT NULL)", name=op.f("ck_metrics_value")
        ),
        sa.CheckConstraint(
            "value_kind IN ('finite', 'nan', 'inf', '-inf', 'undefined')",
            name=op.f("ck_metrics_value_kind"),
        ),
        sa.CheckConstraint(
            "(evaluation_id IS NULL) = (step IS NOT NULL)", name=op.f("ck_metrics_step")
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_metrics_evaluation_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_metrics_run_id")),
        comment="One row per value: points of training curves, and final metrics of evaluations",
    )
    op.create_index(
        "uq_metrics_curve",
        "metrics",
        ["run_id", "name", "step"],
        unique=True,
        sqlite_where=sa.text("evaluation_id IS NULL"),
        postgresql_where=sa.text("evaluation_id IS NULL"),
    )
    op.create_index(
        "uq_metrics_final",
        "metrics",
        ["evaluation_id", "name"],
        unique=True,
        sqlite_where=sa.text("evaluation_id IS NOT NULL"),
        postgresql_where=sa.text("evaluation_id IS NOT NULL"),
    )
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Integer(), nullable=False, comment="number of the artifact"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run that left it"),
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            nullable=True,
            comment="the evaluation it belongs to, if one",
        ),
        sa.Column(
            "sample_id", sa.Integer(), nullable=True, comment="the sample it belongs to, if one"
        ),
        sa.Column("role", sa.Text(), nullable=False, comment="what it is for: best, final, ..."),
        sa.Column("path", sa.Text(), nullable=False, comment="path relative to the runs folder"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the file's bytes"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="of the file"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_artifacts_evaluation_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_artifacts_run_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["samples.id"], name=op.f("fk_artifacts_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("run_id", "path", name=op.f("uq_artifacts_run_id_path")),
        comment="One row per file that a run left",
    )


def _create_results() -> None:
    op.create_table(
        "sample_results",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column(
            "rank",
            sa.Integer(),
            nullable=True,
            comment="best rank of a true label, from 1; NULL without a truth",
        ),
        sa.Column(
            "probability",
            sa.REAL(),
            nullable=True,
            comment="of that label; NULL where scores are no probabilities",
        ),
        sa.Column(
            "top_label_id", sa.Integer(), nullable=True, comment="the label ranked first, if any"
        ),
        sa.Column(
            "top_probability",
            sa.REAL(),
            nullable=True,
            comment="of the label ranked first; NULL as above",
        ),
        sa.Column(
            "has_tie",
            sa.Boolean(),
            nullable=False,
            comment="another label scored as the true one did",
        ),
        sa.Column(
            "outcome",
            sa.REAL(),
            nullable=True,
            comment="what paired statistics compare; higher is better",
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_sample_results_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_sample_results_sample_id")
        ),
        sa.ForeignKeyConstraint(
            ["top_label_id"], ["labels.id"], name=op.f("fk_sample_results_top_label_id")
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "sample_id", name=op.f("pk_sample_results")),
        comment="One row per evaluation and sample (or query)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sample_truths",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample"),
        sa.Column("label_id", sa.Integer(), nullable=False, comment="a true label of it"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_sample_truths_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            ["label_id"], ["labels.id"], name=op.f("fk_sample_truths_label_id")
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_sample_truths_sample_id")
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "sample_id", "label_id", name=op.f("pk_sample_truths")
        ),
        comment="One row per true label of an evaluated sample; several for multi-label data",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rankings",
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            nullable=False,
            comment="the evaluation: evaluations.id",
        ),
        sa.Column("sample_id", sa.Integer(), nullable=False, comment="the sample: samples.id"),
        sa.Column(
            "rank", sa.SmallInteger(), nullable=False, comment="1 for the label ranked first"
        ),
        sa.Column(
            "label_id", sa.Integer(), nullable=False, comment="the label at this rank: labels.id"
        ),
        sa.Column(
            "score",
            sa.REAL(),
            nullable=True,
            comment="its probability, or score; NULL if not a number",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "sample_id", "rank", name=op.f("pk_rankings")),
        comment="One row per evaluation, sample and rank: the first labels of every sample",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "label_metrics",
        sa.Column("evaluation_id", sa.Integer(), nullable=False, comment="the evaluation"),
        sa.Column("label_id", sa.Integer(), nullable=False, comment="the label"),
        sa.Column("name", sa.Text(), nullable=False, comment="recall, support, mean_rank, ..."),
        sa.Column("value", sa.REAL(), nullable=True, comment="NULL where it is not defined"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name=op.f("fk_label_metrics_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            ["label_id"], ["labels.id"], name=op.f("fk_label_metrics_label_id")
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "label_id", "name", name=op.f("pk_label_metrics")),
        comment="One row per evaluation, label and metric",
        sqlite_with_rowid=False,
    )
