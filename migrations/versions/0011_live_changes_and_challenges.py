"""When which version went live, why new ones did or did not, and challengers that answer in the shadow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column(
        "datasets", sa.Column("is_promoting", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column("versions", sa.Column("promotion", sa.JSON()))
    _make_live_changes()
    _make_challenges()
    _make_shadow_answers()


def _make_live_changes() -> None:
    op.create_table(
        "live_changes",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("dataset_id", "datasets", nullable=False, index=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer()),
        _reference("user_id", "users", "SET NULL"),
        sa.Column("why", sa.Text()),
        sa.Column("is_rollback", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )


def _make_challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("dataset_id", "datasets", nullable=False),
        _reference("version_id", "versions", nullable=False),
        _reference("user_id", "users", "SET NULL"),
        sa.Column("seen_id", sa.Integer(), nullable=False),
        sa.Column("passed_over", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(300)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("dataset_id", name=op.f("uq_challenges_dataset_id")),
        sqlite_autoincrement=True,
    )


def _make_shadow_answers() -> None:
    op.create_table(
        "shadow_answers",
        sa.Column("id", sa.Integer(), primary_key=True),
        _reference("prediction_id", "predictions", nullable=False),
        _reference("version_id", "versions", nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(20)),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("is_same", sa.Boolean(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "prediction_id", "version_id", name=op.f("uq_shadow_answers_prediction_id_version_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shadow_answers_page", "shadow_answers", ["version_id", "is_same", "prediction_id"])


def _reference(name: str, table: str, on_delete: str = "CASCADE", **more: bool) -> sa.Column:
    return sa.Column(name, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete=on_delete), **more)


def downgrade() -> None:
    """Take it back."""
    for table in ("shadow_answers", "challenges", "live_changes"):
        op.drop_table(table)
    for table, column in (("versions", "promotion"), ("datasets", "is_promoting")):
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
            batch.drop_column(column)
