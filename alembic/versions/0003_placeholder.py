"""PLACEHOLDER, to be dropped at merging: the migration of this number is made elsewhere.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """Nothing."""
