"""Documents, plans, runs with their journal, the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("kind", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(253), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("stored_at", sa.Float, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("node", sa.String(253), nullable=False, index=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("node", sa.String(253), nullable=False, index=True),
        sa.Column("plan", sa.String(64), sa.ForeignKey("plans.hash"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("undoes", sa.String(64), nullable=False, server_default=""),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("boot_id", sa.String(64), nullable=False, server_default=""),
        sa.Column("ledger_before", sa.Text, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float, nullable=True),
    )
    op.create_table(
        "events",
        sa.Column("run", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("node", sa.String(253), primary_key=True),
        sa.Column("path", sa.String(512), primary_key=True),
        sa.Column("before", sa.Text, nullable=True),
        sa.Column("applied", sa.Text, nullable=True),
        sa.Column("document", sa.String(512), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
    )
