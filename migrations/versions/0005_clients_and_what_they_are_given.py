"""Clients of OAuth2, and what people let them do: consents, codes, refresh tokens, access tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the change."""
    _add_table(
        "clients",
        sa.Column("public_id", sa.String(40), nullable=False, unique=True),
        _reference("user_id", "users"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("secret_hash", sa.String(64)),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("redirect_uris", "grants", "scopes")),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    _add_table(
        "consents",
        _reference("client_id", "clients"),
        _reference("user_id", "users"),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    _add_table(
        "authorization_codes",
        _reference("consent_id", "consents"),
        sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("code_challenge", sa.String(43), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
    )
    _add_table(
        "refresh_tokens",
        _reference("consent_id", "consents"),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
    )
    with op.batch_alter_table("tokens", table_kwargs={"sqlite_autoincrement": True}) as batch:
        for name, table in (("client_id", "clients"), ("consent_id", "consents")):
            batch.add_column(sa.Column(name, sa.Integer()))
            key = op.f(f"fk_tokens_{name}_{table}")
            batch.create_foreign_key(key, table, [name], ["id"], ondelete="CASCADE")
            batch.create_index(op.f(f"ix_tokens_{name}"), [name])


def _add_table(name: str, *columns: sa.Column) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer(), primary_key=True),
        *columns,
        sqlite_autoincrement=True,
    )


def _reference(name: str, table: str) -> sa.Column:
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, sa.Integer(), key, nullable=False, index=True)


def downgrade() -> None:
    """Take it back; the access tokens of clients go, since without their column they would be personal."""
    op.execute("DELETE FROM tokens WHERE client_id IS NOT NULL")
    with op.batch_alter_table("tokens", table_kwargs={"sqlite_autoincrement": True}) as batch:
        for name in ("client_id", "consent_id"):
            batch.drop_index(op.f(f"ix_tokens_{name}"))
            batch.drop_column(name)
    for table in ("refresh_tokens", "authorization_codes", "consents", "clients"):
        op.drop_table(table)
