"""How large an upload is and when bytes of it came last; what was taken from a folder.

An upload from before has said nothing since it was started, as far as anybody knows.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("uploads", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(
        "uploads", sa.Column("touched", sa.String(length=40), nullable=False, server_default="")
    )
    uploads = sa.table(
        "uploads",
        sa.column("id", sa.String),
        sa.column("manifest", sa.Text),
        sa.column("started", sa.String),
        sa.column("size", sa.BigInteger),
        sa.column("touched", sa.String),
    )
    connection = op.get_bind()
    query = sa.select(uploads.c.id, uploads.c.manifest, uploads.c.started)
    for name, manifest, started in connection.execute(query).all():
        size = sum(file["size"] for file in json.loads(manifest))
        connection.execute(
            sa.update(uploads).where(uploads.c.id == name).values(size=size, touched=started)
        )
    op.create_table(
        "folder_runs",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_folder_runs")),
    )
