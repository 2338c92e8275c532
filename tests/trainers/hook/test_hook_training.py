"""The hook inside a plain transformers trainer, each training a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from olmes.trainers.checkpoints.process import ScoringProcess, scoring_command
from olmes.trainers.checkpoints.queue import MOST_DEATHS, Queue

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

pytestmark = pytest.mark.slow


def done(lab: Lab) -> list[int]:
    rows = lab.scores()
    assert all(row["state"] == "done" and row["complete"] for row in rows), rows
    return [row["step"] for row in rows]


def test_every_checkpoint_is_scored_although_only_the_last_is_kept(lab: Lab) -> None:
    printed = lab.train(8, 2, lab.hook())
    assert [path.name for path in lab.output_dir.glob("checkpoint-*")] == ["checkpoint-8"]
    assert done(lab) == [2, 4, 6, 8]
    assert len(lab.records()) == 4
    assert len({row["fingerprint"] for row in lab.scores()}) == 4
    assert printed.count("olmes: checkpoint-") == 4
    (best,) = lab.best()
    assert best["k"] == 4
    # The best stays, whatever the trainer removed; the others are gone.
    assert lab.all_staged() == [best["checkpoint"]]
    assert {one["model"]["family"] for one in lab.records()} == {"out"}
    assert {one["model"]["step"] for one in lab.records()} == {2, 4, 6, 8}
    state = json.loads((lab.training / "trainer_state.json").read_text())
    assert state["global_step"] == 8
    assert any("loss" in entry for entry in state["log_history"])
    assert all((lab.runs / row["record"] / "report.html").exists() for row in lab.scores())
    assert {one["model"]["name"] for one in lab.records()} == {
        f"out/checkpoint-{step}" for step in (2, 4, 6, 8)
    }


def test_the_same_training_again_scores_nothing_twice(lab: Lab) -> None:
    """From the beginning, into the same folders: the weights are the same, so the records stand."""
    lab.train(4, 2, lab.hook())
    times = {path: path.stat().st_mtime_ns for path in lab.runs.glob("*/run.json")}
    lab.train(4, 2, lab.hook())
    assert done(lab) == [2, 4]
    assert {path: path.stat().st_mtime_ns for path in lab.runs.glob("*/run.json")} == times


def test_a_training_that_went_unscored_is_caught_up_with(lab: Lab) -> None:
    lab.train(4, 2, LIMIT="5")
    lab.train(6, 2, lab.hook(), RESUME="1", LIMIT="5")
    assert done(lab) == [2, 4, 6]


def test_detached_scoring_ends_by_itself(lab: Lab) -> None:
    began = time.time()
    lab.train(4, 2, lab.hook(wait_at_end=False))
    while Queue(lab.training).waiting() and time.time() - began < 120:
        time.sleep(0.2)
    deadline = time.time() + 20
    while (lab.training / "scores.jsonl").exists() is False and time.time() < deadline:
        time.sleep(0.2)
    assert done(lab) == [2, 4]


def test_in_the_pause_of_the_training(lab: Lab) -> None:
    printed = lab.train(4, 2, lab.hook(where="pause", device="cpu"))
    assert done(lab) == [2, 4]
    # The score is there before the training continues.
    assert printed.index("olmes: checkpoint-2") < printed.index("'epoch': '0.09375'")


def test_an_adapter_is_scored_merged_into_its_base(lab: Lab) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    lab.train(4, 2, lab.hook(keep="all"), LORA="1")
    assert done(lab) == [2, 4]
    staged = lab.staged("checkpoint-4")
    assert (staged / "adapter_config.json").exists()
    whole = load_file(staged.parents[1] / "merged/out/checkpoint-4/model.safetensors")
    base = AutoModelForCausalLM.from_pretrained(lab.base)
    merged = PeftModel.from_pretrained(base, staged).merge_and_unload().state_dict()
    assert all((whole[name] == merged[name]).all() for name in whole)
    original = load_file(lab.base / "model.safetensors")
    assert any((whole[name] != original[name]).any() for name in whole)
    lineage = json.loads((staged / "lineage.json").read_text())
    assert lineage[-1] == {"training": "out", "step": 4}
    assert lineage[0]["base"] == str(lab.base)
    models = [one["model"] for one in lab.records()]
    assert sorted((one["family"], one["step"]) for one in models) == [("out", 2), ("out", 4)]


def test_a_failing_evaluation_is_retried_then_shown_and_can_be_repeated(lab: Lab) -> None:
    shutil.move(lab.data / "echo", lab.folder / "away")
    printed = lab.train(4, 2, lab.hook(retries=1))
    rows = lab.scores()
    assert [(row["step"], row["state"]) for row in rows] == [(2, "failed"), (4, "failed")]
    assert [job.attempts for job in Queue(lab.training).jobs()] == [2, 2]
    assert "checkpoint-2 could not be scored" in printed
    shutil.move(lab.folder / "away", lab.data / "echo")
    subprocess.run(scoring_command(lab.training, "--retry-failed"), check=True, timeout=120)
    assert done(lab) == [2, 4]


def test_a_checkpoint_that_kills_every_process_is_given_up(lab: Lab) -> None:
    """A task whose file ends the scoring process: no error can be caught there."""
    future = "from __future__ import annotations\n"
    deadly = (
        "import os, sys\nif 'olmes.trainers.checkpoints.worker' in sys.orig_argv: os._exit(9)\n"
    )
    task = lab.folder / "deadly.py"
    task.write_text(lab.task.read_text("utf-8").replace(future, future + deadly), "utf-8")
    lab.train(2, 2, lab.hook(suite=str(task), where="command", command="true {job}"))
    queue = Queue(lab.training)
    with queue.changing() as connection:
        connection.execute("UPDATE jobs SET deaths = ?", (MOST_DEATHS - 1,))
    scorer = ScoringProcess(lab.training, threads=1, detached=False, drain=True)
    deadline = time.time() + 120
    while queue.waiting() and time.time() < deadline:
        scorer.keep_alive(queue.progress())
        time.sleep(0.1)
    (job,) = queue.jobs()
    assert job.state == "failed"
    assert "21 processes died" in job.reason


def test_the_command_line_scores_single_jobs(lab: Lab) -> None:
    submit = (
        f"{sys.executable} -c 'import subprocess, sys; subprocess.run(sys.argv[1], shell=True)'"
    )
    lab.train(4, 2, lab.hook(where="command", command=submit + " {job}"))
    deadline = time.time() + 120
    while Queue(lab.training).waiting() and time.time() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    assert done(lab) == [2, 4]


def test_stopping_the_trainer_does_not_stop_the_scoring(lab: Lab) -> None:
    process = lab.start(2000, 2, lab.hook(), LIMIT="2")
    while not (lab.training / "scorer.log").exists():
        time.sleep(0.05)
    time.sleep(1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.time() + 240
    # `one_behind` would do here, but every checkpoint that was queued must get its score.
    while Queue(lab.training).waiting() and time.time() < deadline:
        time.sleep(0.5)
    steps = [job.step for job in Queue(lab.training).jobs()]
    assert steps == list(range(2, 2 * len(steps) + 1, 2))
    assert {job.state for job in Queue(lab.training).jobs()} == {"done"}
