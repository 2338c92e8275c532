"""Runs the migrations on the engine that `olmes.server.store.database` hands over."""

from __future__ import annotations

from alembic import context

from olmes.server.store import schema

engine = context.config.attributes["engine"]
with engine.execution_options(writes=True).begin() as connection:
    if connection.dialect.name == "postgresql":
        # Two servers that start together take turns.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7165632)")
    context.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
