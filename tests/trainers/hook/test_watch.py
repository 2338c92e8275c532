"""Watching a folder: whole and settled checkpoints are taken, the rest is named once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.cli.watch import command
from olmes.errors import OlmesError
from olmes.trainers.checkpoints.request import EvalRequest
from olmes.trainers.checkpoints.scoring import ScoringOptions
from olmes.trainers.checkpoints.watch import FolderWatch
from tests.known import known

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab


@pytest.fixture
def watch(lab: Lab) -> Callable[..., tuple[FolderWatch, list[str]]]:
    """`watch(...)`: a watcher of the training's folder, and what it says."""
    lab.output_dir.mkdir()

    def make(**options: Any) -> tuple[FolderWatch, list[str]]:
        said: list[str] = []
        request = EvalRequest(
            target=str(lab.suite), out=str(lab.runs), data=str(lab.data), asked_by="watcher"
        )
        scoring = ScoringOptions(request=request, **options)
        return FolderWatch(lab.output_dir, scoring, say=said.append), said

    return make


def save(lab: Lab, name: str, step: int | None = None) -> Path:
    folder = lab.output_dir / name
    shutil.copytree(lab.base, folder)
    if step is not None:
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def test_a_checkpoint_is_taken_once_it_has_settled(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]
) -> None:
    watcher, said = watch()
    folder = save(lab, "checkpoint-2", 2)
    watcher.scan()
    assert watcher.queue.jobs() == []
    (folder / "optimizer.pt").write_bytes(b"x")  # still being written
    watcher.scan()
    assert watcher.queue.jobs() == []
    watcher.scan()
    watcher.scan()
    assert [(job.label, job.state) for job in watcher.queue.jobs()] == [("checkpoint-2", "queued")]
    assert said == ["checkpoint-2 is queued"]
    assert watcher.queue.jobs()[0].request.asked_by == "watcher"


def test_half_a_checkpoint_is_named_once_and_taken_when_it_is_whole(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]
) -> None:
    watcher, said = watch()
    folder = save(lab, "checkpoint-2")
    for _ in range(4):
        watcher.scan()
    assert len(said) == 1
    assert "trainer_state.json" in said[0]
    (folder / "trainer_state.json").write_text('{"global_step": 2}')
    watcher.scan()
    watcher.scan()
    assert said[1:] == ["checkpoint-2 is queued"]
    assert watcher.refused == {}


@pytest.mark.parametrize("name", ["step_5", "global_step_5", "epoch_1", "final", "ckpt-5"])
def test_folders_of_other_trainers(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]], name: str
) -> None:
    watcher, said = watch()
    save(lab, name)
    watcher.scan()
    watcher.scan()
    assert said == [f"{name} is queued"]


def test_the_folder_itself(lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]) -> None:
    watcher, said = watch()
    shutil.copytree(lab.base, lab.output_dir, dirs_exist_ok=True)
    watcher.scan()
    watcher.scan()
    assert said == ["out is queued"]


def test_shards_are_refused_with_the_remedy(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]
) -> None:
    watcher, said = watch()
    folder = save(lab, "checkpoint-2", 2)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model_fsdp_0").mkdir()
    for _ in range(3):
        watcher.scan()
    assert len(said) == 1
    assert "FULL_STATE_DICT" in said[0]


def test_torn_weights_wait(lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]) -> None:
    watcher, said = watch()
    weights = save(lab, "step_5") / "model.safetensors"
    whole = weights.read_bytes()
    os.truncate(weights, len(whole) - 1)
    watcher.scan()
    watcher.scan()
    assert "cut short" in said[0]
    weights.write_bytes(whole)
    watcher.scan()
    watcher.scan()
    assert said[1:] == ["step_5 is queued"]


def test_the_lineage_of_the_folder_is_passed_on(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]
) -> None:
    watcher, _ = watch()
    told = [{"base": "x"}, {"training": "sft", "step": 9}]
    (lab.output_dir / "lineage.json").write_text(json.dumps(told))
    save(lab, "checkpoint-2", 2)
    watcher.scan()
    watcher.scan()
    written = json.loads((lab.staged("checkpoint-2") / "lineage.json").read_text())
    assert written == [*told, {"training": "out", "step": 2}]


def test_a_hook_and_a_watcher_share_a_job(
    lab: Lab, watch: Callable[..., tuple[FolderWatch, list[str]]]
) -> None:
    from olmes.trainers.checkpoints import staging
    from olmes.trainers.checkpoints.folders import checkpoint_at

    folder = save(lab, "checkpoint-2", 2)
    watcher, said = watch()
    hook = EvalRequest(target=str(lab.suite), out=str(lab.runs), data=str(lab.data), device="cpu")
    assert staging.stage(watcher.queue, checkpoint_at(folder), hook, "every", training="out")
    watcher.scan()
    watcher.scan()
    assert said == []
    assert len(watcher.queue.jobs()) == 1


def test_a_held_out_suite_is_refused(lab: Lab) -> None:
    lab.output_dir.mkdir()
    request = EvalRequest(target="unseen", out=str(lab.runs), reason="why not", asked_by="watcher")
    with pytest.raises(OlmesError, match="cannot be scored by a watcher"):
        FolderWatch(lab.output_dir, ScoringOptions(request=request))
    with pytest.raises(OlmesError, match="no folder"):
        FolderWatch(lab.folder / "nowhere", ScoringOptions(request=request))


CLI = "import sys; from olmes.cli.watch import command; sys.exit(command(standalone_mode=False))"


def run_watch(lab: Lab, *options: str) -> subprocess.CompletedProcess[str]:
    """The command as a process; it is called by its module, not by the program's table."""
    arguments = ["--suite", lab.suite, "--data", lab.data, "--out", lab.runs, "--once", *options]
    return subprocess.run(
        [sys.executable, "-c", CLI, str(lab.output_dir), *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_the_options_are_documented() -> None:
    assert {"once", "policy", "interval", "suite", "limit"} <= {one.name for one in command.params}


@pytest.mark.slow
def test_once_scores_what_is_there_and_goes_on_the_next_time(lab: Lab) -> None:
    for step in (2, 4):
        save(lab, f"checkpoint-{step}", step)
    torn = save(lab, "checkpoint-6", 6)
    os.truncate(torn / "model.safetensors", 1000)
    ended = run_watch(lab)
    assert ended.returncode == 1, ended
    assert "checkpoint-6 is not taken: model.safetensors is cut short" in ended.stdout
    # The two have the same weights: one run, two lines.
    assert [(row["step"], row.get("same_as")) for row in lab.scores()] == [
        (2, None), (4, "checkpoint-2"),
    ]  # fmt: skip
    assert len(lab.records()) == 1
    shutil.rmtree(torn)
    ended = run_watch(lab, "--json")
    assert ended.returncode == 0, ended
    assert len(json.loads(ended.stdout)["scores"]) == 2


@pytest.mark.slow
def test_beside_a_training_that_knows_nothing_of_it(lab: Lab) -> None:
    process = lab.start(6, 2, LIMIT="9")
    ended = None
    while process.poll() is None:
        if list(lab.output_dir.glob("checkpoint-*")):
            ended = run_watch(lab)
    process.communicate()
    ended = run_watch(lab)
    assert ended.returncode == 0, ended
    assert [row["step"] for row in lab.scores()] == [2, 4, 6]
    assert len(lab.records()) == 3


@pytest.mark.slow
def test_watching_on_is_stopped_and_started_again(lab: Lab) -> None:
    lab.output_dir.mkdir()
    save(lab, "checkpoint-2", 2)
    arguments = ["--suite", lab.suite, "--data", lab.data, "--out", lab.runs, "--interval", "0.2"]
    process = subprocess.Popen(
        [sys.executable, "-c", CLI, str(lab.output_dir), *map(str, arguments)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert known(process.stdout).readline() == "checkpoint-2 is queued\n"
        assert "checkpoint-2: mini" in known(process.stdout).readline()
        shutil.copytree(lab.base, lab.output_dir / "step_4")
        assert known(process.stdout).readline() == "step_4 is queued\n"
        assert "duplicate of checkpoint-2" in known(process.stdout).readline()
    finally:
        process.terminate()
        process.communicate()
    assert [row["state"] for row in lab.scores()] == ["done", "done"]
