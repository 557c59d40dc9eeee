"""The tables. Times are seconds since the epoch, given by the caller; JSON is text, so that any database can hold it."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("kind", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(253), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("stored_at", sa.Float, nullable=False),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("node", sa.String(253), nullable=False, index=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
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

events = sa.Table(
    "events",
    metadata,
    sa.Column("run", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("node", sa.String(253), primary_key=True),
    sa.Column("path", sa.String(512), primary_key=True),
    sa.Column("before", sa.Text, nullable=True),
    sa.Column("applied", sa.Text, nullable=True),
    sa.Column("document", sa.String(512), nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

lives = sa.Table(
    "lives",
    metadata,
    sa.Column("life", sa.String(64), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("node", sa.String(253), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("plan", sa.String(64), nullable=False),
    sa.Column("documents", sa.String(64), nullable=False),
    sa.Column("accepted", sa.String(64), nullable=False),
    sa.Column("differs", sa.Boolean, nullable=False),
    sa.Column("differs_since", sa.Float, nullable=True),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("good_since", sa.Float, nullable=True),
    sa.Column("observed_at", sa.Float, nullable=True),
)

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("node", sa.String(253), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("key", sa.String(512), primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

proposals = sa.Table(
    "proposals",
    metadata,
    sa.Column("hash", sa.String(64), sa.ForeignKey("plans.hash"), primary_key=True),
    sa.Column("node", sa.String(253), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("impact", sa.String(16), nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("approved_by", sa.String(253), nullable=False),
    sa.Column("approved_at", sa.Float, nullable=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("run", sa.String(64), nullable=False, server_default=""),
    sa.Column("rests", sa.Integer, nullable=False, server_default="0"),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("target", sa.String(512), nullable=False),
    sa.Column("asked_by", sa.String(253), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("key", sa.String(512), nullable=True),
    sa.Column("content", sa.String(64), nullable=False),
    sa.UniqueConstraint("asked_by", "key", name="one_key_one_operation"),
)

shares = sa.Table(
    "shares",
    metadata,
    sa.Column("operation", sa.String(64), sa.ForeignKey("operations.id"), primary_key=True),
    sa.Column("node", sa.String(253), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("plan", sa.String(64), nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("approve", sa.Boolean, nullable=False),
    sa.Column("documents", sa.String(64), nullable=False, server_default=""),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("made_at", sa.Float, nullable=False),
)

roms = sa.Table(
    "roms",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("origin", sa.String(512), nullable=False),
    sa.Column("board", sa.Text, nullable=False),
    sa.Column("tool", sa.String(64), nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

rom_inputs = sa.Table(
    "rom_inputs",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(512), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("origin", sa.String(512), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
