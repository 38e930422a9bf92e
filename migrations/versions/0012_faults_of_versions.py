"""What is wrong with a version's files, which formats fail, and when that was looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("versions", sa.Column("fault", sa.Text()))
    op.add_column("versions", sa.Column("failing", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("versions", sa.Column("checked_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("versions", table_kwargs={"sqlite_autoincrement": True}) as batch:
        for column in ("fault", "failing", "checked_at"):
            batch.drop_column(column)
