"""Webhooks of datasets, and what is on its way to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("dataset_id", "datasets", "CASCADE", nullable=False, index=True),
        _reference("user_id", "users", "SET NULL"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("old_secret", sa.String(100)),
        sa.Column("old_secret_until", MOMENT),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(300)),
        sa.Column("failed_in_row", sa.Integer(), nullable=False),
        sa.Column("tried_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("webhook_id", "webhooks", "CASCADE", nullable=False),
        sa.Column("public_id", sa.String(40), nullable=False, unique=True),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", MOMENT),
        sa.Column("lease_until", MOMENT),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_message", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sqlite_autoincrement=True,
    )
    for name, columns in (("due", ["state", "next_attempt_at"]), ("page", ["webhook_id", "id"])):
        op.create_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns)


def _reference(name: str, table: str, at_end: str, **more: bool) -> sa.Column:
    return sa.Column(name, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete=at_end), **more)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
