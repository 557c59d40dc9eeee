"""An approval knows the run that spent it; a share knows the documents that came with it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("proposals", sa.Column("run", sa.String(64), nullable=False, server_default=""))
    op.add_column("proposals", sa.Column("rests", sa.Integer, nullable=False, server_default="0"))
    op.add_column("shares", sa.Column("documents", sa.String(64), nullable=False, server_default=""))
    # Until now the first run of the plan that began after the approval was the one that spent it.
    op.execute(
        "UPDATE proposals SET run = coalesce((SELECT id FROM runs WHERE runs.plan = proposals.hash "
        "AND runs.started_at >= proposals.approved_at ORDER BY runs.started_at LIMIT 1), '') WHERE state = 'approved'"
    )
