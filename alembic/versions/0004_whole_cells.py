"""Whole cells: what a spec asks for at one point of its sweep, beside the run that it is.

Runs of before get a cell made of what is stored of them, which is what was executed: the width that
met a budget is set there, so that no budget is. Its place in the sweep is unknown, and so are the
overrides of a run that never began; tables are in the order of their names. What was `train.betas`
is `train.optimizer.betas`, so that specs of before are read.

Revision ID: 0004
Revises: 0003
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OLD_RESOLVED = "JSON: the cell's own spec, axes applied"
RESOLVED = "JSON: the spec as the run executes it"

VIEW = """
SELECT cells.id AS cell_id, specs.name AS spec, cells.experiment, cells.position,
    cells.label AS cell, cells.axes, cells.seed, cells.overrides, cells.budget, cells.created_at,
    cells.run_id, runs.status
FROM cells
JOIN specs ON specs.id = cells.spec_id
LEFT JOIN runs ON runs.id = cells.run_id
"""


def upgrade() -> None:
    _create_cells()
    _comment_resolved(RESOLVED, OLD_RESOLVED)
    _move_betas(op.get_bind())
    _add_cells_of_runs(op.get_bind())
    op.execute(f"CREATE VIEW submitted_cells AS {VIEW}")


def downgrade() -> None:
    op.execute("DROP VIEW submitted_cells")
    _move_betas_back(op.get_bind())
    _comment_resolved(OLD_RESOLVED, RESOLVED)
    op.drop_table("cells")


def _create_cells() -> None:
    op.create_table(
        "cells",
        sa.Column(
            "id", sa.Integer(), nullable=False, comment="number of the cell, higher if newer"
        ),
        sa.Column("spec_id", sa.Integer(), nullable=False, comment="the spec it belongs to"),
        sa.Column("run_id", sa.Text(), comment="the run it is; NULL where none was found yet"),
        sa.Column("hash", sa.Text(), nullable=False, comment="sha256 of all that the cell says"),
        sa.Column("experiment", sa.Text(), nullable=False, comment="the spec's name"),
        sa.Column(
            "position", sa.Integer(), comment="place in its sweep, from 0; NULL where it is unknown"
        ),
        sa.Column("seed", sa.BigInteger(), nullable=False, comment="seed of all randomness"),
        sa.Column(
            "label", sa.Text(), nullable=False, comment="what differs from its sweep's other cells"
        ),
        sa.Column(
            "axes",
            sa.Text(),
            nullable=False,
            comment="JSON: the sweep's dotted paths and their values",
        ),
        sa.Column(
            "overrides",
            sa.Text(),
            comment="JSON: texts of --set, files of --set-file; NULL where unknown",
        ),
        sa.Column(
            "budget",
            sa.BigInteger(),
            comment="parameters of fusion and head to meet; NULL if none",
        ),
        sa.Column(
            "resolved",
            sa.Text(),
            nullable=False,
            comment="JSON: its own spec as asked, in order, defaults filled in, paths absolute",
        ),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="first submitted, UTC"
        ),
        sa.Column(
            "submitted_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="last submitted, UTC",
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["specs.id"], name=op.f("fk_cells_spec_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_cells_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cells")),
        sa.UniqueConstraint("run_id", "spec_id", "hash", name=op.f("uq_cells_run_id_spec_id_hash")),
        comment="One row per cell of a spec's sweep and run that it is; several cells may be one "
        "run",
    )
    op.create_index(op.f("ix_cells_spec_id_position"), "cells", ["spec_id", "position"])
    op.create_index(
        "uq_cells_without_run",
        "cells",
        ["spec_id", "hash"],
        unique=True,
        sqlite_where=sa.text("run_id IS NULL"),
        postgresql_where=sa.text("run_id IS NULL"),
    )


def _comment_resolved(comment: str, before: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        op.alter_column("runs", "resolved", comment=comment, existing_comment=before)


def _move_betas(connection: sa.Connection) -> None:
    def moved(train: dict[str, Any]) -> bool:
        if "betas" not in train:
            return False
        train["optimizer"] = {"use": "adamw", "betas": train.pop("betas")}
        return True

    _change_training(connection, moved)


def _move_betas_back(connection: sa.Connection) -> None:
    """What revision 0003 has no word for, another optimiser or a schedule, is lost."""

    def moved(train: dict[str, Any]) -> bool:
        optimizer = train.pop("optimizer", None)
        if optimizer is None and "schedule" not in train:
            return False
        train.pop("schedule", None)
        train["betas"] = (optimizer or {}).get("betas", [0.9, 0.98])
        return True

    _change_training(connection, moved)


def _change_training(connection: sa.Connection, change: Callable[[dict[str, Any]], bool]) -> None:
    """Change [train] of stored specs, and the hash of those that name one."""
    for name in ("specs", "runs"):
        columns = ("id", "resolved") if name == "runs" else ("id", "resolved", "text", "hash")
        table = sa.table(name, *map(sa.column, columns))
        for row in connection.execute(sa.select(table)).all():
            values = json.loads(row.resolved)
            if not change(values.get("train") or {}):
                continue
            resolved = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            new = {"resolved": resolved}
            if name == "specs":
                text = f"{row.text}\0{resolved}"
                new["hash"] = hashlib.sha256(text.encode()).hexdigest()
            connection.execute(sa.update(table).where(table.c.id == row.id).values(new))


def _add_cells_of_runs(connection: sa.Connection) -> None:
    # Columns without types: times pass as the database wrote them.
    read = ("id", "spec_id", "experiment", "cell", "seed", "axes", "resolved", "provenance")
    runs = sa.table("runs", *map(sa.column, (*read, "created_at")))
    has_spec = runs.c.spec_id.is_not(None)  # what was imported has none
    query = sa.select(runs).where(has_spec).order_by(runs.c.created_at, runs.c.id)
    rows = [_cell(row) for row in connection.execute(query)]
    if rows:
        cells = sa.table("cells", *map(sa.column, rows[0]))
        connection.execute(sa.insert(cells), rows)


def _cell(row: Any) -> dict[str, object]:  # Any: a row of the query above
    said = {
        "experiment": row.experiment,
        "position": None,
        "seed": row.seed,
        "label": row.cell,
        "axes": row.axes,
        "overrides": _overrides(json.loads(row.provenance)),
        "budget": None,
        "resolved": row.resolved,
    }
    text = json.dumps(said, ensure_ascii=False)
    return {
        "spec_id": row.spec_id,
        "run_id": row.id,
        "hash": hashlib.sha256(text.encode()).hexdigest(),
        **said,
        "created_at": row.created_at,
        "submitted_at": row.created_at,
    }


def _overrides(provenance: dict[str, Any]) -> str | None:  # Any: JSON
    """What the command line set, as far as the record of where a run came from has it."""
    if "overrides" not in provenance:
        return None
    files = [
        {"name": patch["file"], "text": patch["text"]}
        for patch in provenance.get("override_files", [])
    ]
    return json.dumps({"set": provenance["overrides"], "files": files}, ensure_ascii=False)
