"""Published figures beside one's own: where a run came from, and which test set it was judged on.

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


def upgrade() -> None:
    op.add_column("runs", sa.Column("origin", sa.Text(), comment=ORIGIN))
    op.add_column("evaluations", sa.Column("test_set", sa.Text(), comment=TEST_SET))
    op.add_column("evaluations", sa.Column("main_metric", sa.Text(), comment=MAIN_METRIC))
    op.execute("DROP VIEW leaderboard")
    op.execute(f"CREATE VIEW leaderboard AS {LEADERBOARD}")


def downgrade() -> None:
    op.execute("DROP VIEW leaderboard")
    op.drop_column("evaluations", "main_metric")
    op.drop_column("evaluations", "test_set")
    op.drop_column("runs", "origin")
    op.execute(f"CREATE VIEW leaderboard AS {OLD_LEADERBOARD}")
