"""Which share of a task's responses ended inside their thought, and which holds marks of one.

Records that came before have no such responses.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns."""
    for name in ("unfinished_thinking", "thought_marks"):
        column = sa.Column(name, sa.Float(), nullable=False, server_default="0")
        op.add_column("metrics", column)
