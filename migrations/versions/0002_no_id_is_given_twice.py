"""No id is given twice: on SQLite a new row may not take the id of a deleted one.

Whoever works on a dataset or a job that is deleted meanwhile (a worker, an upload, somebody who undoes) knows
it by its id, and must never find another one under it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    *("users", "invitations", "failed_logins", "tokens", "datasets", "labels", "items", "changes", "jobs"),
    *("imports", "import_files", "runs", "versions", "predictions"),
)


def upgrade() -> None:
    """Make the change."""
    _write_anew(sqlite_autoincrement=True)


def downgrade() -> None:
    """Take it back."""
    _write_anew()


def _write_anew(**options: bool) -> None:
    """Copy every table into one with these options; env.py has seen to it that no foreign key is minded."""
    if op.get_bind().dialect.name != "sqlite":
        return
    if op.get_bind().scalar(sa.text("PRAGMA foreign_keys")):
        raise RuntimeError("With foreign keys on, dropping a table would delete the rows that refer to it.")
    for table in TABLES:
        with op.batch_alter_table(table, recreate="always", table_kwargs=options):
            pass
