"""Runs whose samples are damaged: which they are, and what is opened anew of them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, update

from olmes.server.store.artifacts import sealed_name
from olmes.server.store.schema import runs, tasks
from olmes.server.store.store import Store
from olmes.server.store.table_rows import TaskColumns


def damaged(store: Store, run: str) -> list[tuple[TaskColumns, str]]:
    """The tasks of a run whose samples are missing or are not what they were, each with its metric.

    Raises:
        RefusedError: there is no such run.
    """
    found = []
    for row in store.task_rows(run):
        metric = store.primary_of(run, row.task).metric
        names = {row.artifact, sealed_name(row.sha256)} if row.sealed else {row.artifact}
        if not all(store.artifacts.whole(name, metric) for name in names):
            found.append((row, metric))
    return found


def open_again(store: Store, run: str, artifacts: Mapping[str, str]) -> None:
    """Name the artifacts that tasks of a run have now whose samples were opened before.

    Args:
        store: the run's.
        run: its id.
        artifacts: names by task.
    """
    with store.database.publishing() as connection:
        seq = select(runs.seq).where(runs.id == run).scalar_subquery()
        for task, artifact in artifacts.items():
            connection.execute(
                update(tasks.table)
                .where(tasks.run == seq, tasks.task == task)
                .values({tasks.artifact: artifact})
            )
