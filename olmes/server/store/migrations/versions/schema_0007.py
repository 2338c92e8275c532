"""When runs were made, in a form that sorts by time; which items they were asked, and what they lack.

It is made of `runs.data`, which stays as it was uploaded.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from olmes.records.check import FieldError, run_record
from olmes.server.store.table_rows import kept_columns, moment_of

revision = "0007"
down_revision = "0006"
ODD = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
FILLED = ("moment", "item_set", "lacking", "unscored")

runs = sa.table("runs", *map(sa.column, ("seq", "data", "created", *FILLED)))


def upgrade() -> None:
    """Add the columns, then fill them."""
    for column in (
        sa.Column("moment", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("item_set", sa.String(length=16), nullable=False, server_default=""),
        sa.Column("lacking", sa.Text(), nullable=False, server_default=""),
        sa.Column("unscored", sa.BigInteger(), nullable=False, server_default="0"),
    ):
        op.add_column("runs", column)
    connection = op.get_bind()
    for (seq,) in connection.execute(sa.select(runs.c.seq).order_by(runs.c.seq)).all():
        fill(connection, seq)
    op.drop_index("ix_runs_created_seq", "runs")
    op.create_index("ix_runs_moment_id", "runs", ["moment", "id"])


def fill(connection: sa.Connection, seq: int) -> None:
    """Fill the columns of a run; of one that is of no schema we read the time alone."""
    query = sa.select(runs.c.data, runs.c.created).where(runs.c.seq == seq)
    text, created = connection.execute(query).one()
    try:
        columns = dict(kept_columns(run_record(json.loads(text))))
    except (FieldError, *ODD):
        columns = {"moment": moment_or_text(created)}
    connection.execute(runs.update().where(runs.c.seq == seq).values(**columns))


def moment_or_text(created: str) -> str:
    """The time as it sorts; what is none as it is."""
    try:
        return moment_of(created)
    except (ValueError, OverflowError):
        return created
