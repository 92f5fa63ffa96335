"""Attempts may end in one more way: `device`, a GPU that was lost.

Revision ID: 0008
Revises: 0007
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OLD_OUTCOMES = (
    *("ok", "error", "oom", "nan", "disk_full", "preempted", "lost", "interrupted"),
    *("died", "timeout", "cancelled"),
)
OUTCOMES = (*OLD_OUTCOMES, "device")


def upgrade() -> None:
    _allow_outcomes(OUTCOMES)


def downgrade() -> None:
    op.execute("UPDATE attempts SET outcome = 'error' WHERE outcome = 'device'")
    _allow_outcomes(OLD_OUTCOMES)


def _allow_outcomes(outcomes: Sequence[str]) -> None:
    name = op.f("ck_attempts_outcome")
    condition = f"outcome IN ({', '.join(map(repr, outcomes))})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "attempts", type_="check")
        op.create_check_constraint(name, "attempts", condition)
        return
    # SQLite makes the table anew, and gives it its name only while no view lacks it.
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid"
    views = op.get_bind().execute(sa.text(query)).all()
    for view in views:
        op.execute(f"DROP VIEW {view.name}")
    check = sa.CheckConstraint(condition, name=name)
    with op.batch_alter_table("attempts", copy_from=_attempts(check), recreate="always"):
        pass
    for view in views:
        op.get_bind().exec_driver_sql(view.sql)  # a colon in it is no parameter


def _attempts(check: sa.CheckConstraint) -> sa.Table:
    return sa.Table(
        "attempts",
        sa.MetaData(),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("traceback", sa.Text()),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_attempts_run_id")),
        sa.PrimaryKeyConstraint("run_id", "fence", name=op.f("pk_attempts")),
        check,
    )
