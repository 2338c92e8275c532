"""What a run was asked: whether its formulations are standard, and over which and how many items.

It is made of `runs.data`, which stays as it was uploaded.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from olmes.records.check import FieldError, run_record
from olmes.server.store.table_rows import asked_columns

revision = "0003"
down_revision = "0002"
ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)

runs = sa.table("runs", *map(sa.column, ("seq", "data", "standard", "limited", "items")))
metrics = sa.table("metrics", *map(sa.column, ("run", "task", "items")))


def upgrade() -> None:
    """Add the columns, then fill them."""
    for column in (
        sa.Column("standard", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("limited", sa.Text(), nullable=False, server_default=""),
        sa.Column("items", sa.BigInteger(), nullable=False, server_default="0"),
    ):
        op.add_column("runs", column)
    op.add_column("metrics", sa.Column("items", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    for (seq,) in connection.execute(sa.select(runs.c.seq).order_by(runs.c.seq)).all():
        fill(connection, seq)


def fill(connection: sa.Connection, seq: int) -> None:
    """Fill the columns of a run; one that is of no schema we read is shown by itself alone."""
    text = connection.execute(sa.select(runs.c.data).where(runs.c.seq == seq)).scalar_one()
    try:
        run = run_record(json.loads(text))
        columns = asked_columns(run)
    except (FieldError, *ODD):
        return
    connection.execute(runs.update().where(runs.c.seq == seq).values(**columns))
    for task, result in run.tasks.items():
        connection.execute(
            metrics.update()
            .where(metrics.c.run == seq, metrics.c.task == task)
            .values(items=result.items)
        )
