"""Ledgers that were continued twice stand side by side, each line with who brought it.

A line's hash is over all lines before it and is its key from now on: two lines of a ledger may have
the same number. What is known of the lines of before is the line before them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

START = "0" * 64
"""What the first line of a ledger holds for the hash of the line before it."""
COLUMNS = ("chain", "number", "hash", "event", "run", "time", "entry")


def upgrade() -> None:
    """Make the table anew and move the lines into it."""
    op.drop_index("ix_ledger_run", "ledger")
    op.rename_table("ledger", "ledger_before")
    # Names of constraints are the schema's in PostgreSQL; in SQLite they are gone with the table.
    if op.get_bind().dialect.name == "postgresql":
        for name in ("pk_ledger", "uq_ledger_hash"):
            op.execute(f"ALTER TABLE ledger_before RENAME CONSTRAINT {name} TO {name}_before")
    made = op.create_table(
        "ledger",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("run", sa.String(200), nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("brought_by", sa.String(100), nullable=False),
        sa.Column("arrived", sa.String(40), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_ledger"),
    )
    old = sa.table("ledger_before", *map(sa.column, COLUMNS)).alias("line")
    one = sa.table("ledger_before", *map(sa.column, COLUMNS)).alias("before")
    follows = sa.and_(one.c.chain == old.c.chain, one.c.number == old.c.number - 1)
    rows = sa.select(
        *(old.c[name] for name in COLUMNS),
        sa.func.coalesce(one.c.hash, START),
        sa.literal(""),
        sa.literal(""),
    ).select_from(old.outerjoin(one, follows))
    op.execute(made.insert().from_select([*COLUMNS, "previous", "brought_by", "arrived"], rows))
    op.drop_table("ledger_before")
    op.create_index("ix_ledger_run", "ledger", ["run"])
    op.create_index("ix_ledger_chain_number", "ledger", ["chain", "number"])
    op.create_index("ix_ledger_previous", "ledger", ["previous"])
