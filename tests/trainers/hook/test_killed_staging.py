"""A trainer that is killed, or whose disk is full, while it queues a checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from olmes.models.checkpoint.completeness import trouble_of
from olmes.trainers.checkpoints import staging
from olmes.trainers.checkpoints.folders import checkpoint_at
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.request import EvalRequest
from tests.fault_points import FAULTS, Fault, in_child

REQUEST = EvalRequest(target="gsm8k", out="/runs", limit=2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_job_is_there_with_its_files_or_not_at_all(
    base: Path, tmp_path: Path, fault: Fault
) -> None:
    saved, log = tmp_path / "out/checkpoint-4", tmp_path / "log"
    shutil.copytree(base, saved)
    (saved / "trainer_state.json").write_text(json.dumps({"global_step": 4, "log_history": [1]}))

    def put(training: Path) -> bool:
        return staging.stage(
            Queue(training), checkpoint_at(saved), REQUEST, "every", training="out"
        )

    count = in_child(lambda: put(tmp_path / "undisturbed"), log)
    assert count > 10, log.read_text()
    for at in range(1, count + 1):
        training = tmp_path / f"training-{at}"
        in_child(lambda: put(training), log, at=at, fault=fault)  # noqa: B023
        for job in Queue(training).jobs():
            assert trouble_of(training / job.folder) is None
        assert in_child(lambda: put(training), log) > 0, log.read_text()  # noqa: B023
        [job] = Queue(training).jobs()
        assert job.state == "queued"
        assert trouble_of(training / job.folder) is None
        shutil.rmtree(training)
