"""What stands beside a held-out score in a list of runs: which look it was, the dev score then."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from olmes.server import schema
from olmes.server.database import Database

Row = dict[str, Any]


def with_looks(database: Database, rows: Sequence[Row]) -> list[Row]:
    """Rows of runs with `look`, a line in words; '' for runs that are no look at held-out tasks."""
    held = [row["seq"] for row in rows if row["held_out"]]
    table = schema.runs
    found: dict[int, str] = {}
    if held:
        # By name, because the engine knows no report.
        look_line = importlib.import_module("olmes.reports.held_out").look_line
        with database.reading() as connection:
            query = select(table.c.seq, table.c.slim).where(table.c.seq.in_(held))
            for seq, slim in connection.execute(query):
                found[seq] = look_line(json.loads(slim)["held_out"])
    return [row | {"look": found.get(row["seq"], "")} for row in rows]
