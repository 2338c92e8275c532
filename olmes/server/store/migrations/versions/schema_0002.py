"""Units, demo data, and formulation hashes without metric names: the record's schema 2.

What rows hold of a record is made anew of `runs.data`, which stays as it was uploaded.
"""

from __future__ import annotations

import json
import logging

import sqlalchemy as sa
from alembic import op

from olmes.records.check import FieldError, run_record
from olmes.server.store.table_rows import slim_text

revision = "0002"
down_revision = "0001"
log = logging.getLogger("olmes.server")
ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What a record ends with that an older olmes took and nobody can read: the others are brought on."""

runs = sa.table(
    "runs",
    *map(sa.column, ("seq", "id", "data", "slim", "demo_data", "unit", "higher_is_better")),
)
tasks = sa.table("tasks", *map(sa.column, ("run", "task", "formulation_hash", "origin")))
metrics = sa.table(
    "metrics", *map(sa.column, ("run", "task", "metric", "unit", "higher_is_better"))
)


def upgrade() -> None:
    """Rename and add the columns, then fill them."""
    # Not in a batch, which makes the table anew: SQLite would remove the rows that refer to it.
    op.execute("ALTER TABLE runs RENAME COLUMN sample_data TO demo_data")
    for table in ("runs", "metrics"):
        op.add_column(
            table, sa.Column("unit", sa.String(20), nullable=False, server_default="share")
        )
        op.add_column(
            table,
            sa.Column("higher_is_better", sa.Boolean(), nullable=False, server_default=sa.true()),
        )
    connection = op.get_bind()
    op.execute(tasks.update().where(tasks.c.origin == "sample").values(origin="demo"))
    for (seq,) in connection.execute(sa.select(runs.c.seq).order_by(runs.c.seq)).all():
        fill(connection, seq)


def fill(connection: sa.Connection, seq: int) -> None:
    """Make the rows of a run anew of its record."""
    name, text = connection.execute(
        sa.select(runs.c.id, runs.c.data).where(runs.c.seq == seq)
    ).one()
    try:
        run = run_record(json.loads(text))
        slim = slim_text(run)
    except (FieldError, *ODD) as error:
        # It stays as it is and is shown nowhere but by itself.
        log.warning(
            "a record is not of today's schema", extra={"facts": {"run": name, "why": str(error)}}
        )
        return
    connection.execute(
        runs.update()
        .where(runs.c.seq == seq)
        .values(
            slim=slim,
            demo_data=bool(run.demo_tasks),
            unit=run.suite.unit if run.suite else "share",
            higher_is_better=run.higher_is_better,
        )
    )
    for task, result in run.tasks.items():
        connection.execute(
            tasks.update()
            .where(tasks.c.run == seq, tasks.c.task == task)
            .values(formulation_hash=result.formulation_hash)
        )
        for metric, score in result.metrics.items():
            connection.execute(
                metrics.update()
                .where(metrics.c.run == seq, metrics.c.task == task, metrics.c.metric == metric)
                .values(unit=score.unit, higher_is_better=score.higher_is_better)
            )
