"""The queue: one job a checkpoint and question, one process a job, whatever dies in between."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes.errors import OlmesError
from olmes.tools.locks import Lock
from olmes.trainers.checkpoints import queue as queues
from olmes.trainers.checkpoints.queue import Job, Queue
from olmes.trainers.checkpoints.request import EvalRequest, Policy
from tests.known import known
from tests.trainers.hook.results import some_result

REQUEST = EvalRequest(target="gsm8k", out="/runs", limit=2)


def put(
    queue: Queue,
    step: int,
    *,
    sign: str = "a",
    policy: Policy = "every",
    request: EvalRequest = REQUEST,
) -> None:
    with queue.changing() as connection:
        queue.insert(
            connection, label=f"checkpoint-{step}", step=step, signature=sign,
            source=Path("/out"), folder=f"checkpoint-{step}", request=request, policy=policy,
        )  # fmt: skip


def states(queue: Queue) -> dict[int, str]:
    return {known(job.step): job.state for job in queue.jobs()}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "training")


def drain(queue: Queue) -> list[int]:
    done = []
    while taken := queue.take():
        job, lock = taken
        assert queue.finish(job, "done", result=some_result())
        lock.release()
        done.append(known(job.step))
    return done


def test_put_twice_is_one_job_and_another_question_another(queue: Queue) -> None:
    put(queue, 1)
    put(queue, 1)
    put(queue, 1, request=EvalRequest(target="gsm8k", out="/runs", limit=3))
    assert len(queue.jobs()) == 2


def test_device_and_batch_size_make_no_other_question() -> None:
    same = EvalRequest(
        target="gsm8k", out="/x", limit=2, device="cuda:1", batch_size=3, asked_by="watcher"
    )
    assert same.hash == REQUEST.hash
    assert (
        EvalRequest(target="gsm8k", out="/x", limit=2, settings={"gsm8k.shots": 4}).hash
        != REQUEST.hash
    )
    assert EvalRequest.from_json(same.to_json()) == same


def test_order_by_policy(queue: Queue) -> None:
    for step in (1, 2, 3):
        put(queue, step)
    assert drain(queue) == [1, 2, 3]
    for step in (4, 5, 6):
        put(queue, step, policy="latest")
    assert drain(queue) == [6, 5, 4]


def test_one_behind_keeps_what_runs_and_the_newest(queue: Queue) -> None:
    put(queue, 1, policy="one_behind")
    job, lock = known(queue.take())
    for step in (2, 3, 4):
        put(queue, step, policy="one_behind")
    assert states(queue) == {1: "running", 2: "skipped", 3: "skipped", 4: "queued"}
    assert "checkpoint-4" in queue.jobs()[2].reason
    queue.finish(job, "done", result=some_result())
    lock.release()
    assert drain(queue) == [4]


def test_a_job_whose_process_died_is_taken_again_and_not_for_ever(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "MOST_DEATHS", 3)
    put(queue, 1)
    for deaths in range(4):
        job, lock = known(queue.take())
        assert job.deaths == deaths
        assert queue.take() is None  # its lock is held
        lock.release()  # as the end of the process does
    assert queue.take() is None
    assert states(queue) == {1: "failed"}
    assert "died" in queue.jobs()[0].reason


def test_a_retry_waits_and_is_counted(queue: Queue) -> None:
    put(queue, 1)
    job, lock = known(queue.take())
    queue.finish(job, "queued", reason="no memory", retry_in=60)
    lock.release()
    assert queue.take() is None
    assert [(one.attempts, one.reason) for one in queue.jobs()] == [(1, "no memory")]


def test_a_checkpoint_written_anew_is_scored_anew(queue: Queue) -> None:
    put(queue, 1)
    job, lock = known(queue.take())
    put(queue, 1, sign="b")
    assert not queue.finish(job, "done", result=some_result())
    lock.release()
    again, lock = known(queue.take())
    assert (again.signature, again.result) == ("b", None)
    assert queue.finish(again, "done", result=some_result())
    lock.release()


def test_failed_jobs_are_retried_where_their_files_are(queue: Queue) -> None:
    for step in (1, 2):
        put(queue, step)
        job, lock = known(queue.take())
        queue.finish(job, "failed", reason="x")
        lock.release()
    (queue.folder / "checkpoint-2").mkdir()
    assert queue.retry_failed() == 1
    assert states(queue) == {1: "failed", 2: "queued"}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 4), st.sampled_from("ab")),
            st.tuples(st.sampled_from(["take", "die", "done", "fail"]), st.just(0), st.just("")),
        ),
        max_size=25,
    )
)
def test_whatever_happens_each_checkpoint_ends_once(events: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue(Path(folder))
        newest: dict[int, str] = {}
        held: list[tuple[Job, Lock]] = []
        done: list[tuple[int, str]] = []
        for kind, step, sign in events:
            if kind == "put" and newest.get(step) != sign:
                newest[step] = sign
                done = [one for one in done if one[0] != step]
                put(queue, step, sign=sign)
            elif kind == "take" and (taken := queue.take()):
                assert all(job.id != taken[0].id for job, _ in held), "two hold one job"
                held.append(taken)
            elif held and kind in ("die", "done", "fail"):
                job, lock = held.pop()
                if kind == "done" and queue.finish(job, "done", result=some_result()):
                    done.append((known(job.step), job.signature))
                if kind == "fail":
                    queue.finish(job, "queued", reason="again")
                lock.release()
        for _, lock in held:
            lock.release()
        while taken := queue.take():
            job, lock = taken
            assert queue.finish(job, "done", result=some_result())
            done.append((known(job.step), job.signature))
            lock.release()
        assert sorted(done) == sorted(newest.items())


WORKER = """
import sys, time, random
from pathlib import Path
from olmes.trainers.checkpoints.queue import Queue
queue = Queue(Path(sys.argv[1]))
while taken := queue.take():
    job, lock = taken
    time.sleep(random.random() / 200)
    assert queue.finish(job, "done")
    print(job.step)
    lock.release()
"""


def test_two_processes_do_every_job_once(queue: Queue) -> None:
    for step in range(40):
        put(queue, step)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(queue.folder)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    printed = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(int(step) for part in printed for step in part) == list(range(40))


def test_a_damaged_queue_is_one_sentence_with_the_remedy(queue: Queue) -> None:
    file = queue.folder / "queue.sqlite"
    file.write_bytes(b"no database " * 1000)
    with pytest.raises(OlmesError, match=r"queue\.sqlite is damaged .* move it away"):
        Queue(queue.folder)
    with pytest.raises(OlmesError, match="is damaged"):
        queue.jobs()
    file.unlink()
    assert Queue(queue.folder).jobs() == []
