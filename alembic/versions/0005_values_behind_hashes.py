"""The values that hashes of runs and evaluations stand for, so that a hit can be confirmed.

Revision ID: 0005
Revises: 0004
"""

from collections.abc import Sequence

import sqlalchemy as sa

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HASH = "a run's group hash, or an evaluation hash"
CONTENT = "JSON: every value, also those left out of it"


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("hash", sa.Text(), nullable=False, comment=HASH),
        sa.Column("content", sa.Text(), nullable=False, comment=CONTENT),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_identities")),
        comment="One row per hash: the values it stands for, so that a hit by hash can be "
        "confirmed",
    )


def downgrade() -> None:
    op.drop_table("identities")
