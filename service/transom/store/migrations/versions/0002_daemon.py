"""What a daemon keeps beside the runs: nodes as last seen, drift, proposals, operations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("node", sa.String(253), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("documents", sa.String(64), nullable=False),
        sa.Column("accepted", sa.String(64), nullable=False),
        sa.Column("differs", sa.Boolean, nullable=False),
        sa.Column("differs_since", sa.Float, nullable=True),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("observed_at", sa.Float, nullable=True),
    )
    op.create_table(
        "drift",
        sa.Column("node", sa.String(253), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("key", sa.String(512), primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "proposals",
        sa.Column("hash", sa.String(64), sa.ForeignKey("plans.hash"), primary_key=True),
        sa.Column("node", sa.String(253), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("impact", sa.String(16), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approved_by", sa.String(253), nullable=False),
        sa.Column("approved_at", sa.Float, nullable=True),
        sa.Column("made_at", sa.Float, nullable=False),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("asked_by", sa.String(253), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("key", sa.String(512), nullable=True),
        sa.Column("content", sa.String(64), nullable=False),
        sa.UniqueConstraint("asked_by", "key", name="one_key_one_operation"),
    )
    op.create_table(
        "shares",
        sa.Column("operation", sa.String(64), sa.ForeignKey("operations.id"), primary_key=True),
        sa.Column("node", sa.String(253), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approve", sa.Boolean, nullable=False),
    )
    op.create_index("ix_proposals_node", "proposals", ["node"])
    op.create_index("ix_proposals_state", "proposals", ["state"])
    op.create_index("ix_shares_state", "shares", ["state"])
