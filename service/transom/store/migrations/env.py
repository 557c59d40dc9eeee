"""Alembic's environment: the connection comes from the program, never from a file."""

from alembic import context

from transom.store import tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tables.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
