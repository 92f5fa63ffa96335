"""The queue of submitted cells, parts of evaluations, and facts about the database itself.

Attempts may end in three more ways: `died`, `timeout` and `cancelled`. Runs that were interrupted
before stay as they are: they are in the queue again once their spec is.

Revision ID: 0006
Revises: 0005
"""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OLD_OUTCOMES = ("ok", "error", "oom", "nan", "disk_full", "preempted", "lost", "interrupted")
OUTCOMES = (*OLD_OUTCOMES, "died", "timeout", "cancelled")

HELD_WHILE_RUNNING = (
    "(status = 'running') = (worker IS NOT NULL)"
    " AND (status = 'running') = (lease_until IS NOT NULL)"
)

OLD_VIEW = """
SELECT cells.id AS cell_id, specs.name AS spec, cells.experiment, cells.position,
    cells.label AS cell, cells.axes, cells.seed, cells.overrides, cells.budget, cells.created_at,
    cells.run_id, runs.status
FROM cells
JOIN specs ON specs.id = cells.spec_id
LEFT JOIN runs ON runs.id = cells.run_id
"""

# A cell that waits in the queue is shown until it is a run, which has a row of its own.
VIEW = """
SELECT cells.id AS cell_id, specs.name AS spec, cells.experiment, cells.position,
    cells.label AS cell, cells.axes, cells.seed, cells.overrides, cells.budget, cells.created_at,
    cells.run_id, COALESCE(runs.status, asked.status) AS status
FROM cells
JOIN specs ON specs.id = cells.spec_id
LEFT JOIN runs ON runs.id = cells.run_id
LEFT JOIN (SELECT DISTINCT spec_id, hash FROM cells WHERE run_id IS NOT NULL) AS begun
    ON begun.spec_id = cells.spec_id AND begun.hash = cells.hash AND cells.run_id IS NULL
LEFT JOIN queue AS asked
    ON asked.id = (SELECT max(queue.id) FROM queue WHERE queue.cell_id = cells.id)
WHERE begun.hash IS NULL
"""


def upgrade() -> None:
    _allow_outcomes(OUTCOMES)
    _create_queue()
    _create_parts()
    _create_properties()
    op.execute("DROP VIEW submitted_cells")
    op.execute(f"CREATE VIEW submitted_cells AS {VIEW}")


def downgrade() -> None:
    """What revision 0005 has no word for is an error, or an interruption; the queue is lost."""
    op.execute("DROP VIEW submitted_cells")
    op.execute(f"CREATE VIEW submitted_cells AS {OLD_VIEW}")
    for table in ("queue", "evaluation_parts", "properties"):
        op.drop_table(table)
    op.execute("UPDATE attempts SET outcome = 'error' WHERE outcome IN ('died', 'timeout')")
    op.execute("UPDATE attempts SET outcome = 'interrupted' WHERE outcome = 'cancelled'")
    _allow_outcomes(OLD_OUTCOMES)


def _allow_outcomes(outcomes: Sequence[str]) -> None:
    name = op.f("ck_attempts_outcome")
    condition = f"outcome IN ({', '.join(map(repr, outcomes))})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "attempts", type_="check")
        op.create_check_constraint(name, "attempts", condition)
        return
    # SQLite makes the table anew. It is described here, for not every version of SQLAlchemy reads
    # checks back, and the old one must not be carried over.
    check = sa.CheckConstraint(condition, name=name)
    with op.batch_alter_table("attempts", copy_from=_attempts(check), recreate="always"):
        pass


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


def _create_queue() -> None:
    op.create_table(
        "queue",
        sa.Column("id", sa.Integer(), nullable=False, comment="place in the queue"),
        sa.Column(
            "cell_id",
            sa.Integer(),
            nullable=False,
            comment="what is asked for: a cell without a run",
        ),
        sa.Column(
            "experiment", sa.Text(), nullable=False, comment="the spec's name, as in the cell"
        ),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="queued, running, done, failed, cancelled, or blocked: what it starts from "
            "failed",
        ),
        sa.Column(
            "priority",
            sa.Integer(),
            nullable=False,
            comment="higher ones are claimed first; usually 0",
        ),
        sa.Column(
            "waits_for",
            sa.Text(),
            nullable=False,
            comment="JSON: experiments, or ids of runs, that must have ended before it can start",
        ),
        sa.Column(
            "asked_hash",
            sa.Text(),
            comment="train hash as the submitter computed it; NULL if unknown",
        ),
        sa.Column(
            "rerun",
            sa.Boolean(),
            nullable=False,
            comment="whether one more replicate is wanted in any case",
        ),
        sa.Column("run_id", sa.Text(), comment="the run it became; NULL before it was begun"),
        sa.Column(
            "fence", sa.Integer(), nullable=False, comment="times claimed; older claims are void"
        ),
        sa.Column("worker", sa.Text(), comment="the process that has it; NULL unless running"),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            comment="free after this; NULL unless running",
        ),
        sa.Column(
            "deaths",
            sa.Integer(),
            nullable=False,
            comment="how often in a row the process of the cell died equally",
        ),
        sa.Column(
            "death",
            sa.Text(),
            comment="how it died last: exit code or signal; NULL if it never did",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            comment="why it was given back, blocked, failed or cancelled; else NULL",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="first submitted, UTC",
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="done, failed or cancelled, UTC"),
        sa.ForeignKeyConstraint(["cell_id"], ["cells.id"], name=op.f("fk_queue_cell_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_queue_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'blocked', 'cancelled')",
            name=op.f("ck_queue_status"),
        ),
        sa.CheckConstraint(HELD_WHILE_RUNNING, name=op.f("ck_queue_lease")),
        sa.CheckConstraint(
            "(status IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL)",
            name=op.f("ck_queue_ended"),
        ),
        comment="One row per submitted cell and per rerun: what is to be done, and who does it",
    )
    is_open = sa.text("status IN ('queued', 'running', 'blocked') AND NOT rerun")
    op.create_index(
        "uq_queue_open",
        "queue",
        ["cell_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    order = ["status", sa.text("priority DESC"), "id"]
    op.create_index("ix_queue_status_priority_id", "queue", order)
    op.create_index(op.f("ix_queue_experiment_status"), "queue", ["experiment", "status"])
    op.create_index(op.f("ix_queue_run_id"), "queue", ["run_id"])
    op.create_index(op.f("ix_queue_cell_id"), "queue", ["cell_id"])
    is_waiting = sa.text("waits_for <> '[]'")
    op.create_index(
        "ix_queue_waiting",
        "queue",
        ["status", "experiment"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )


def _create_parts() -> None:
    op.create_table(
        "evaluation_parts",
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run that is evaluated"),
        sa.Column(
            "evaluation_hash", sa.Text(), nullable=False, comment="as of the evaluation to be"
        ),
        sa.Column(
            "work", sa.Text(), nullable=False, comment="what is made, in words and as hashes"
        ),
        sa.Column("part", sa.Integer(), nullable=False, comment="its place in the work, from 0"),
        sa.Column(
            "first",
            sa.BigInteger(),
            nullable=False,
            comment="its first item (sample, text, ...), from 0",
        ),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="how many items it has"),
        sa.Column("status", sa.Text(), nullable=False, comment="queued, running or done"),
        sa.Column(
            "fence", sa.Integer(), nullable=False, comment="times claimed; older claims are void"
        ),
        sa.Column("worker", sa.Text(), comment="the process computing it; NULL unless running"),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            comment="free after this; NULL unless running",
        ),
        sa.Column(
            "digest", sa.Text(), comment="sha256 of the file of its results; NULL unless done"
        ),
        sa.Column(
            "path", sa.Text(), comment="that file, relative to the runs folder; NULL unless done"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_evaluation_parts_run_id")),
        sa.PrimaryKeyConstraint(
            "run_id", "evaluation_hash", "work", "part", name=op.f("pk_evaluation_parts")
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done')", name=op.f("ck_evaluation_parts_status")
        ),
        sa.CheckConstraint(HELD_WHILE_RUNNING, name=op.f("ck_evaluation_parts_lease")),
        comment="One row per part of an evaluation that is not merged yet",
        sqlite_with_rowid=False,
    )


def _create_properties() -> None:
    properties = op.create_table(
        "properties",
        sa.Column("key", sa.Text(), nullable=False, comment="id, or runs_folder"),
        sa.Column(
            "value",
            sa.Text(),
            nullable=False,
            comment="this database's own uuid; the token of the folder where its runs leave files",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_properties")),
        comment="One row per fact about the database itself",
    )
    row = {"key": "id", "value": uuid.uuid4().hex}
    op.get_bind().execute(properties.insert().values(row))
