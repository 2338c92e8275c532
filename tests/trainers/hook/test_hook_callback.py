"""The callback by itself: what it refuses, what it survives, when it stays quiet."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.checkpoints.device import free_device
from olmes.trainers.checkpoints.hook import ScoreCheckpoints
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.request import EvalRequest
from tests.known import known

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab


@pytest.fixture
def save(lab: Lab) -> Callable[[int], Path]:
    """`save(step)`: a checkpoint in the training's folder."""

    def make(step: int) -> Path:
        folder = lab.output_dir / f"checkpoint-{step}"
        shutil.copytree(lab.base, folder)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        return folder

    return make


@pytest.fixture
def call(lab: Lab) -> Callable[..., None]:
    """`call(hook, event, step)`: as a Trainer on one CPU calls it."""

    def event(
        hook: ScoreCheckpoints,
        name: str,
        step: int,
        *,
        zero: bool = True,
        world_size: int = 1,
        device: str = "cpu",
        save_strategy: str = "steps",
    ) -> None:
        args = SimpleNamespace(
            output_dir=str(lab.output_dir), world_size=world_size, local_process_index=0,
            device=SimpleNamespace(type=device), save_strategy=save_strategy,
        )  # fmt: skip
        state = SimpleNamespace(is_world_process_zero=zero, global_step=step)
        getattr(hook, name)(args, state, None, model=None)

    return event


def make(lab: Lab, **options: Any) -> ScoreCheckpoints:
    return ScoreCheckpoints(str(lab.suite), out=lab.runs, data=lab.data, **options)


TO_NOBODY: dict[str, Any] = {"where": "command", "command": "true {job}"}


def test_a_held_out_suite_is_refused_before_any_training(lab: Lab) -> None:
    with pytest.raises(OlmesError, match="must not be looked at"):
        ScoreCheckpoints("unseen", out=lab.runs)
    with pytest.raises(OlmesError, match="cannot be scored by a hook"):
        ScoreCheckpoints("unseen", out=lab.runs, reason="curious")
    with pytest.raises(OlmesError, match="must not be looked at"):
        ScoreCheckpoints("agieval", out=lab.runs, final=True)
    ScoreCheckpoints("unseen", out=lab.runs, reason="final, for the paper", final=True)


def test_a_held_out_suite_is_put_to_the_last_checkpoint_alone(
    lab: Lab, save: Callable[[int], Path], call: Callable[..., None]
) -> None:
    hook = ScoreCheckpoints(
        "agieval", out=lab.runs, reason="final", final=True, limit=2, **TO_NOBODY
    )
    call(hook, "on_train_begin", 0)
    for step in (2, 4):
        save(step)
        call(hook, "on_save", step)
    assert Queue(lab.training).jobs() == []
    call(hook, "on_train_end", 4)
    assert [job.label for job in Queue(lab.training).jobs()] == ["checkpoint-4"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "some"}, "policy"),
        ({"asking": {"thinking": "some"}}, "--thinking some"),
        ({"asking": {"adapter": "lora"}}, "leave it out"),
        ({"asking": {"think": "on"}}, "no 'think'"),
        ({"where": "elsewhere"}, "where"),
        ({"keep": "few"}, "keep"),
        ({"where": "command"}, "go together"),
        ({"where": "command", "command": "sbatch run.sh"}, "{job}"),
        ({"where": "command", "command": "sbatch '{job}"}, "quotes"),
        ({"settings": {"gsm8k.shots": 4}}, "gsm8k.shots"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    lab: Lab, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OlmesError, match=message):
        make(lab, **options)


def test_a_failure_inside_is_said_and_the_training_goes_on(
    lab: Lab,
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = make(lab)
    lab.runs.write_text("a file where the store should be")
    call(hook, "on_train_begin", 0)
    call(hook, "on_save", 2)
    call(hook, "on_train_end", 2)
    assert capsys.readouterr().err.count("the training continues") == 3


def test_other_processes_of_a_training_do_nothing(
    lab: Lab, save: Callable[[int], Path], call: Callable[..., None]
) -> None:
    hook = make(lab)
    save(2)
    for event in ("on_train_begin", "on_save", "on_train_end"):
        call(hook, event, 2, zero=False)
    assert not lab.runs.exists()


def test_a_sharded_checkpoint_is_shown_as_failed(
    lab: Lab,
    save: Callable[[int], Path],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook = make(lab, **TO_NOBODY)
    call(hook, "on_train_begin", 0)
    folder = save(2)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model_fsdp_0").mkdir()
    call(hook, "on_save", 2)
    call(hook, "on_train_end", 2)
    (job,) = Queue(lab.training).jobs()
    assert job.state == "failed"
    assert "FULL_STATE_DICT" in job.reason
    assert "checkpoint-2 could not be scored" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_staged_is_shown_and_made_good(
    lab: Lab,
    save: Callable[[int], Path],
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:  # a mock: a disk cannot be filled in a test
        raise OSError(28, "No space left on device")

    hook = make(lab, **TO_NOBODY)
    call(hook, "on_train_begin", 0)
    save(2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        call(hook, "on_save", 2)
    (job,) = Queue(lab.training).jobs()
    assert job.state == "failed"
    assert "No space left" in job.reason
    call(make(lab, **TO_NOBODY), "on_train_begin", 2)
    assert [job.state for job in Queue(lab.training).jobs()] == ["queued"]


def test_a_restart_queues_what_was_saved_and_not_queued(
    lab: Lab, save: Callable[[int], Path], call: Callable[..., None]
) -> None:
    for step in (2, 4, 6):
        save(step)
    (lab.output_dir / "checkpoint-4/model.safetensors").write_bytes(b"torn")
    hook = make(lab, **TO_NOBODY)
    call(hook, "on_train_begin", 4)  # resumes from step 4: 6 is about to be written again
    assert [job.step for job in Queue(lab.training).jobs()] == [2]
    assert (lab.output_dir / "checkpoint-2").exists()
    assert not (lab.output_dir / "checkpoint-2/lineage.json").exists()
    call(hook, "on_train_end", 4)


def test_links_are_cut_before_a_training_writes_its_folders_again(
    lab: Lab, save: Callable[[int], Path], call: Callable[..., None]
) -> None:
    hook = make(lab, **TO_NOBODY)
    call(hook, "on_train_begin", 0)
    save(2)
    call(hook, "on_save", 2)
    kept = lab.staged("checkpoint-2") / "model.safetensors"
    assert kept.stat().st_nlink == 2
    call(make(lab, **TO_NOBODY), "on_train_begin", 0)
    assert kept.stat().st_nlink == 1


def test_the_command_gets_each_job_once_and_again_where_it_fails(
    lab: Lab,
    save: Callable[[int], Path],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = lab.folder / "submitted"
    script = lab.folder / "submit.py"
    script.write_text(
        "import sys\n"
        f"log = open({str(log)!r}, 'a'); log.write(sys.argv[1] + '\\n'); log.close()\n"
        f"sys.exit(len(open({str(log)!r}).readlines()) == 1)\n"
    )
    hook = make(lab, where="command", command=f"{sys.executable} {script} {{job}}")
    call(hook, "on_train_begin", 0)
    for step in (2, 4):
        save(step)
        call(hook, "on_save", step)
        for process in known(hook.submission).submitted.values():
            process.wait()
    call(hook, "on_train_end", 4)
    for process in known(hook.submission).submitted.values():
        process.wait()
    jobs = Queue(lab.training).jobs()
    lines = log.read_text().splitlines()
    ids = [line.split()[-1] for line in lines]
    assert ids[0] == jobs[0].id
    # The second and third command run at the same time.
    assert sorted(ids[1:]) == sorted([jobs[0].id, jobs[1].id])
    assert "olmes.trainers.checkpoints.worker" in lines[0]
    assert "is run again" in capsys.readouterr().err


def test_lineage_is_written_beside_the_checkpoint(
    lab: Lab, save: Callable[[int], Path], call: Callable[..., None]
) -> None:
    hook = make(lab, about={"method": "sft"}, **TO_NOBODY)
    call(hook, "on_train_begin", 0)
    hook.base = "allenai/a-base"
    folder = save(2)
    call(hook, "on_save", 2)
    wanted = [
        {"base": "allenai/a-base"},
        {"training": "out", "step": 2, "method": "sft"},
    ]
    assert json.loads((folder / "lineage.json").read_text()) == wanted
    assert json.loads((lab.staged("checkpoint-2") / "lineage.json").read_text()) == wanted


def test_without_another_device_scoring_waits_for_the_end(
    lab: Lab,
    save: Callable[[int], Path],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = make(lab, wait_at_end=False)
    started = []
    call(hook, "on_train_begin", 0, device="mps")
    monkeypatch.setattr(known(hook.scoring).process, "start", lambda: started.append(time.time()))
    assert "when the training ends" in capsys.readouterr().err
    save(2)
    call(hook, "on_save", 2, device="mps")
    assert not started
    call(hook, "on_train_end", 2, device="mps")
    assert len(started) == 1


def test_the_end_does_not_wait_with_several_processes(
    lab: Lab,
    save: Callable[[int], Path],
    call: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook = make(lab)
    call(hook, "on_train_begin", 0, world_size=2)
    monkeypatch.setattr(known(hook.scoring).process, "start", lambda: None)
    save(2)
    call(hook, "on_save", 2, world_size=2)
    began = time.perf_counter()
    call(hook, "on_train_end", 2, world_size=2)
    assert time.perf_counter() - began < 20
    assert "still to be scored: 1" in capsys.readouterr().err


def test_no_checkpoints_no_scores(
    lab: Lab, call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    hook = make(lab)
    call(hook, "on_train_begin", 0, save_strategy="no")
    assert "none will be scored" in capsys.readouterr().err
    call(hook, "on_train_end", 0)


def test_a_request_survives_the_queue(lab: Lab) -> None:
    request = make(lab, limit=3, settings={"echo.max_tokens": 8}, judge="smollm2").options.request
    assert EvalRequest.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    ("gpus", "variables", "device"),
    [
        (1, {}, None),
        (2, {}, None),  # one process in sight of two trains on both
        (2, {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}, "cuda:1"),
        (4, {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "3"}, "cuda:3"),
        (4, {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "4"}, None),
    ],
)
def test_a_gpu_that_nobody_trains_on(
    monkeypatch: pytest.MonkeyPatch, gpus: int, variables: dict[str, Any], device: str | None
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)  # a mock: there are no GPUs here
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert free_device("cuda", 0) == device
    assert free_device("cpu", 0) == "cpu"
    assert free_device("mps", 0) is None
