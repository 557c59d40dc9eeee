"""Lives that have written leases. What was written before this is known by its generation alone: the life without a name."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    lives = op.create_table(
        "lives",
        sa.Column("life", sa.String(64), primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
    )
    known = op.get_bind().scalar(sa.text("SELECT value FROM meta WHERE name = 'generation'"))
    if known is not None:
        op.bulk_insert(lives, [{"life": "", "generation": int(known)}])
