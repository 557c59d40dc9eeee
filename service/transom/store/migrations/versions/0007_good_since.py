"""Since when a node has been what it was when it was last good; of what was kept before this it is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("good_since", sa.Float, nullable=True))
