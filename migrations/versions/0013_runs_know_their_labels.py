"""A run remembers which labels its names meant, so that its version is compared under the names of today."""

from __future__ import annotations

import json
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_LABELS = sa.text("SELECT dataset_id, name, id FROM labels")
_TAUGHT = sa.text("SELECT run_id, dataset_id, labels FROM versions")
_KEEP = sa.text("UPDATE runs SET label_ids = :label_ids WHERE id = :run")


def upgrade() -> None:
    """Make the change; runs of before are given the labels that bear their names now."""
    op.add_column("runs", sa.Column("label_ids", sa.JSON(), nullable=False, server_default="{}"))
    connection = op.get_bind()
    ids: dict[int, dict[str, int]] = defaultdict(dict)
    for dataset_id, name, label_id in connection.execute(_LABELS):
        ids[dataset_id][name] = label_id
    for run, dataset_id, taught in connection.execute(_TAUGHT).all():
        names = json.loads(taught) if isinstance(taught, str) else taught
        known = {name: ids[dataset_id][name] for name in names if name in ids[dataset_id]}
        connection.execute(_KEEP, {"label_ids": json.dumps(known), "run": run})


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("runs", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("label_ids")
