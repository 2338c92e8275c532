"""Runs whose samples are damaged: which they are, and what happens when their content comes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from olmes.server.store.artifacts import sealed_name
from olmes.server.store.schema import runs, tasks
from olmes.server.store.table_rows import TaskColumns

if TYPE_CHECKING:
    from olmes.server.store.store import Store


def damaged(store: Store, run: str) -> list[TaskColumns]:
    """The tasks of a run whose samples are missing or are not what they were.

    Raises:
        RefusedError: there is no such run.
    """
    found = []
    for row in store.task_rows(run):
        metric = store.primary_of(run, row.task).metric
        names = {row.artifact, sealed_name(row.sha256)} if row.sealed else {row.artifact}
        if not all(store.artifacts.whole(name, metric) for name in names):
            found.append(row)
    return found


def put_again(connection: Connection, seq: int, rows: Sequence[TaskColumns]) -> None:
    """The content of a run came again: its artifacts are whole now, and may be named otherwise.

    Of samples that were opened here the open ones stay.
    """
    for row in rows:
        connection.execute(
            update(tasks.table)
            .where(tasks.run == seq, tasks.task == row.task, tasks.opened == row.opened)
            .values({tasks.artifact: row.artifact})
        )


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
