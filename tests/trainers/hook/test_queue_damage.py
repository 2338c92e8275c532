"""A damaged queue of checkpoints: a row costs that job, a file is said with the remedy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from olmes import OlmesError
from olmes.tools import notices
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.request import EvalRequest

FILE_NAME = "queue.sqlite"


def filled(folder: Path) -> Queue:
    queue = Queue(folder)
    for step in (1, 2, 3):
        with queue.changing() as connection:
            queue.insert(
                connection, label=f"checkpoint-{step}", step=step, signature="s", source=folder,
                folder="staged", request=EvalRequest(target="dev", out=str(folder)), policy="every",
            )  # fmt: skip
    return queue


@pytest.mark.parametrize("ask", ["{oops", "5", "[]", "null", '{"x": 1}', "", "[" * 100_000])
def test_a_row_that_cannot_be_read_costs_its_job_alone(
    tmp_path: Path,
    ask: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(notices, "SAID", set())
    queue = filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE jobs SET ask = ? WHERE step = 2", (ask,))
    assert [job.step for job in queue.jobs()] == [1, 3]
    taken = []
    while found := queue.take():
        taken.append(found[0].step)
        assert queue.finish(found[0], "done")
        found[1].release()
    assert taken == [1, 3]
    assert capsys.readouterr().err.count(f"job 2 of the queue in {tmp_path} is damaged") == 1


def test_a_damaged_file_is_said_with_what_to_do(tmp_path: Path) -> None:
    queue = filled(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1000)
    for use in (queue.jobs, queue.take, lambda: Queue(tmp_path)):
        with pytest.raises(OlmesError, match="is damaged .*; move it away"):
            use()
