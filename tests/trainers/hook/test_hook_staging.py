"""Staged files outlive what a trainer does to its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import trouble_of
from olmes.trainers.checkpoints import staging
from olmes.trainers.checkpoints.folders import checkpoint_at, signature
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.request import EvalRequest
from tests.known import known
from tests.trainers.hook.results import some_result

REQUEST = EvalRequest(target="gsm8k", out="/runs", limit=2)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "store/training")


@pytest.fixture
def saved(base: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "out/checkpoint-4"
    shutil.copytree(base, folder)
    (folder / "optimizer.pt").write_bytes(b"x" * 1000)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 4, "log_history": [1]}))
    return folder


def put(queue: Queue, folder: Path, request: EvalRequest = REQUEST, **options: Any) -> bool:
    return staging.stage(queue, checkpoint_at(folder), request, "every", training="out", **options)


def staged_of(queue: Queue) -> Path:
    return queue.folder / queue.jobs()[0].folder


def test_links_that_a_rotation_does_not_touch(queue: Queue, saved: Path) -> None:
    assert put(queue, saved)
    kept = staged_of(queue)
    assert (kept / "model.safetensors").stat().st_nlink == 2
    assert not (kept / "optimizer.pt").exists()
    shutil.rmtree(saved)
    assert trouble_of(kept) is None
    assert json.loads((queue.folder / "trainer_state.json").read_text())["global_step"] == 4
    sign = signature(kept)[:8]
    assert staged_of(queue) == queue.folder / f"files/checkpoint-4-{sign}/out/checkpoint-4" == kept


def test_the_same_checkpoint_is_queued_once_and_shared_by_two_questions(
    queue: Queue, saved: Path
) -> None:
    assert put(queue, saved)
    assert not put(queue, saved)
    assert put(queue, saved, EvalRequest(target="gsm8k", out="/runs", limit=3))
    assert len({job.folder for job in queue.jobs()}) == 1
    assert len(queue.jobs()) == 2


def test_a_checkpoint_written_anew_goes_beside_the_older_one(queue: Queue, saved: Path) -> None:
    put(queue, saved)
    older = staged_of(queue)
    weights = saved / "model.safetensors"
    new = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(new)
    assert put(queue, saved)
    (job,) = queue.jobs()
    assert queue.folder / job.folder != older
    assert older.is_dir(), "it may be being scored"
    assert signature(queue.folder / job.folder) == job.signature == signature(saved)


def test_another_file_system_gets_copies_where_there_is_room(
    queue: Queue, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:  # a mock: tests cannot count on a second file system
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert put(queue, saved)
    assert (staged_of(queue) / "model.safetensors").stat().st_nlink == 1
    assert queue.jobs()[0].signature == signature(staged_of(queue))
    monkeypatch.setattr(staging, "SPARE", 1e15)
    with pytest.raises(OlmesError, match="disk is too full"):
        put(queue, saved, EvalRequest(target="gsm8k", out="/runs", limit=3))
    assert not list(queue.folder.glob(f"files/{staging.TEMPORARY}*"))
    assert len(queue.jobs()) == 1


def test_links_become_copies_before_a_trainer_writes_over_its_files(
    queue: Queue, saved: Path
) -> None:
    put(queue, saved)
    kept = staged_of(queue)
    before = (kept / "model.safetensors").read_bytes()
    staging.own_copies(queue, "checkpoint-4")
    with (saved / "model.safetensors").open("r+b") as stream:
        stream.write(b"\xff" * 100)
    assert (kept / "model.safetensors").read_bytes() == before
    assert signature(kept) == queue.jobs()[0].signature


def test_a_tokenizer_is_lent_to_a_checkpoint_without_one(
    queue: Queue, saved: Path, base: Path
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (saved / name).unlink()
    assert put(queue, saved, tokenizer=base)
    assert trouble_of(staged_of(queue)) is None
    assert (staged_of(queue) / "chat_template.jinja").exists()


def test_what_nobody_waits_for_is_removed(queue: Queue, saved: Path) -> None:
    put(queue, saved)
    other = saved.with_name("checkpoint-8")
    shutil.copytree(saved, other)
    (other / "trainer_state.json").write_text('{"global_step": 8}')
    put(queue, other)
    (queue.folder / "files/.new-abc").mkdir()
    job, lock = known(queue.take())
    queue.finish(job, "done", result=some_result())
    lock.release()
    staging.sweep(queue, {job.folder})
    assert (queue.folder / job.folder).is_dir()
    staging.sweep(queue)
    assert not (queue.folder / job.folder).exists()
    assert (queue.folder / queue.jobs()[1].folder).is_dir()
    assert (queue.folder / "files/.new-abc").is_dir(), "somebody may be filling it"
    os.utime(queue.folder / "files/.new-abc", (0, 0))
    staging.sweep(queue)
    assert not (queue.folder / "files/.new-abc").exists()


def test_a_killed_put_leaves_no_job_and_is_made_good(
    queue: Queue, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "insert", die)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # SIGKILL cleans nothing up
        with pytest.raises(KeyboardInterrupt):
            put(queue, saved)
    assert queue.jobs() == []
    assert put(queue, saved)
    assert trouble_of(queue.folder / queue.jobs()[0].folder) is None
