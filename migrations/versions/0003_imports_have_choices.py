"""An import remembers how its labels are found, and what a person should know of it as a whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("imports", sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("imports", sa.Column("notes", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("imports") as batch:
        batch.drop_column("notes")
        batch.drop_column("options")
