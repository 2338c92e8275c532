"""Runs the migrations on the engine that `olmes.server.store.database` hands over."""

from __future__ import annotations

from alembic import context
from alembic.script import ScriptDirectory

from olmes.server.store import schema
from olmes.server.store.upgrade import before_upgrade

engine = context.config.attributes["engine"]
# All of it in one transaction, also on SQLite: a start that is killed leaves the store as it was.
with engine.execution_options(writes=True).begin() as connection:
    if connection.dialect.name == "postgresql":
        # Two servers that start together take turns.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7165632)")
    context.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
    script = ScriptDirectory.from_config(context.config)
    revision = context.get_context().get_current_revision()
    wanted = context.get_revision_argument()
    known = {found.revision for found in script.walk_revisions()}
    if revision in known and revision != wanted:
        before_upgrade(connection, revision, str(wanted))
    with context.begin_transaction():
        context.run_migrations()
