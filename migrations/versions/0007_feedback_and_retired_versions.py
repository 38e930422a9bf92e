"""Feedback on predictions, and the highest number of a deleted version, so that none is given twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("prediction_id", "predictions", nullable=False),
        _reference("user_id", "users", index=True),
        sa.Column("is_correct", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.JSON()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("prediction_id", "user_id", name=op.f("uq_feedback_prediction_id_user_id")),
        sqlite_autoincrement=True,
    )
    op.add_column("datasets", sa.Column("retired_version", sa.Integer()))


def _reference(name: str, table: str, **more: bool) -> sa.Column:
    return sa.Column(name, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), **more)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("feedback")
    with op.batch_alter_table("datasets", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("retired_version")
