"""What stands beside a held-out score in a list of runs: which look it was, the dev score then."""

from __future__ import annotations

from collections.abc import Sequence

from olmes.server.store import schema
from olmes.server.store.store import Store
from olmes.server.store.stored_records import with_counted_look
from olmes.server.store.table_rows import RunRow


def look_lines(store: Store, rows: Sequence[RunRow]) -> dict[int, str]:
    """A line in words by `seq`, for those of some runs that are looks at held-out tasks."""
    held = [row.seq for row in rows if row.held_out]
    if not held:
        return {}
    # Here, because the pages' modules take their time to load.
    from olmes.reports.held_out import look_line

    return {
        one.seq: look_line(look)
        for one in store.slim_runs(schema.runs.seq.in_(held))
        if (look := with_counted_look(one.run, store).held_out)
    }
