"""Trackers, by what their own readers find: loss, reward, scores with intervals, one run a stage.

The real packages; a test is skipped where one is not installed (`pip install 'olmes[trackers]'`).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.trackers.callbacks import other
from olmes.trainers.trackers.memory import Memory
from olmes.trainers.trackers.reporting import guarded, send_late
from olmes.trainers.trackers.scores import numbers_of
from olmes.trainers.train import train

Curves = dict[str, dict[int, float]]
"""By name, a number by step."""


def tensorboard_curves(folder: Path) -> Curves:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "out/tensorboard"))
    read.Reload()
    return {tag: {e.step: e.value for e in read.Scalars(tag)} for tag in read.Tags()["scalars"]}


def wandb_records(file: Path) -> Iterator[bytes]:
    """The records of a W&B file: its 7 bytes, then blocks of LevelDB's log format."""
    data, record = file.read_bytes(), b""
    at = 7
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:  # a block's last bytes
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def wandb_curves(folder: Path) -> Curves:
    """With W&B's own messages; it has no reader of its files in Python."""
    messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    found: Curves = defaultdict(dict)
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len({file.name for file in files}) == 1  # one run, however often it was started
    for data in (data for file in files for data in wandb_records(file)):
        history = messages.Record.FromString(data).history.item
        row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in history}
        step = row.pop("train/global_step", None)
        for name, value in row.items() if step is not None else ():
            if isinstance(value, int | float):
                found[name][step] = value
    return found


def mlflow_curves(folder: Path) -> Curves:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    (experiment,) = [e for e in client.search_experiments() if e.name == "olmes"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    return {
        name: {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}
        for name in run.data.metrics
    }


def trackio_curves(folder: Path) -> Curves:
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = SQLiteStorage.get_runs("olmes")
    found: Curves = defaultdict(dict)
    for row in SQLiteStorage.get_logs("olmes", run):
        for name, value in row.items():
            if "train/global_step" in row and isinstance(value, int | float):
                found[name][row["train/global_step"]] = value
    return found


READERS: dict[str, tuple[str, Callable[[Path], Curves]]] = {
    "tensorboard": ("train/", tensorboard_curves),
    "wandb": ("train/", wandb_curves),
    "mlflow": ("", mlflow_curves),
    "trackio": ("train/", trackio_curves),
}
TRACKERS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"),
            *[pytest.mark.slow] * (name != "tensorboard"),
        ],
    )
    for name in READERS
]


@pytest.fixture
def local(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The workshop with trackers that write files here, and nowhere else."""
    folder = workshop.folder
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{folder}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    if find_spec("trackio"):
        import trackio.sqlite_storage
        import trackio.utils

        for module in (trackio, trackio.utils, trackio.sqlite_storage):
            if hasattr(module, "TRACKIO_DIR"):  # read when the module was imported
                monkeypatch.setattr(module, "TRACKIO_DIR", folder / "trackio")
    if find_spec("mlflow"):
        import mlflow

        mlflow.set_tracking_uri(f"file:{folder}/mlruns")
    return workshop


def write_scores(folder: Path, steps: list[int]) -> None:
    """`scores.jsonl` as the hook's scoring process writes it."""
    numbers = {"value": 0.5, "stderr": 0.1, "ci_low": 0.3, "ci_high": 0.7, "n": 6}
    rows = [
        {
            "checkpoint": f"checkpoint-{step}", "step": step, "state": "done", "ask": "a" * 16,
            "ended": 1.0 * step, "suite": "toy", "folder": "gone", **numbers,
            "tasks": {"addition": {"metric": "exact", **numbers, "value": step / 10}},
        }
        for step in steps
    ]  # fmt: skip
    jsonl.write(training_folder(folder / "out/scores", folder / "out") / "scores.jsonl", rows)


def stop_after(out: Path, step: int) -> None:
    """Make a finished training one that was killed after a checkpoint."""
    shutil.rmtree(out / "final")
    (out / "done.json").unlink()
    for checkpoint in out.glob("checkpoint-*"):
        if int(checkpoint.name.split("-")[1]) > step:
            shutil.rmtree(checkpoint)


@pytest.mark.parametrize("name", TRACKERS)
def test_log_and_scores_are_in_one_run_also_after_a_resume(local: Any, name: str) -> None:
    prefix, curves = READERS[name]
    out = local.folder / "out"
    recipe = local.recipe("sft", report_to=[name], checkpoints={"every": 2}, name="mine")
    write_scores(local.folder, [2])
    train(recipe, out, say=lambda _: None)
    stop_after(out, 2)
    write_scores(local.folder, [2, 4])
    said: list[str] = []
    train(recipe, out, say=said.append)
    assert not [line for line in said if "reports no more" in line]
    found = curves(local.folder)
    log = {row["step"]: row for row in jsonl.read(out / "train_log.jsonl")}
    assert found[f"{prefix}loss"] == pytest.approx({s: log[s]["loss"] for s in log}, rel=1e-6)
    assert list(log) == [1, 2, 3, 4]
    assert found["score/addition"] == pytest.approx({2: 0.2, 4: 0.4})
    assert found["score/addition_low"] == pytest.approx({2: 0.3, 4: 0.3})
    assert found["score/toy_high"] == pytest.approx({2: 0.7, 4: 0.7})
    # What arrives when the training has ended comes into the same run, at its own step.
    write_scores(local.folder, [1, 2, 4])
    train(recipe, out, say=said.append)
    assert "sent 1 scores" in said[-1]
    assert curves(local.folder)["score/addition"] == pytest.approx({1: 0.1, 2: 0.2, 4: 0.4})
    assert len(Memory.read(out).sent) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKERS)
@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_reward_and_true_scores_of_a_training(
    local: Any, name: str, algorithm: str, addition_file: Path
) -> None:
    """The hook scores every checkpoint in its own process; TRL's trainer and PPO's alike."""
    prefix, curves = READERS[name]
    scoring = {"tasks": [str(addition_file)], "limit": 4, "options": {"device": "cpu"}}
    recipe = local.recipe(
        "rlvr", report_to=[name], algorithm=algorithm, scoring=scoring, checkpoints={"every": 2}
    )
    out = local.folder / "out"
    said: list[str] = []
    train(recipe, out, say=said.append)
    assert not [line for line in said if "reports no more" in line]
    found = curves(local.folder)
    log = {row["step"]: row for row in jsonl.read(out / "train_log.jsonl")}
    reward = "reward" if algorithm == "grpo" else "score"
    prefix = "train/" if algorithm == "ppo" else prefix
    assert found[prefix + reward] == pytest.approx({s: log[s][reward] for s in log}, rel=1e-6)
    rows = {
        row["step"]: row for row in jsonl.read(next(out.glob("scores/checkpoints/*/scores.jsonl")))
    }
    assert list(rows) == [2, 4]
    for end, key in (("", "value"), ("_low", "ci_low"), ("_high", "ci_high")):
        expected = {step: row["tasks"]["addition"][key] for step, row in rows.items()}
        assert found[f"score/addition{end}"] == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKERS)
def test_two_stages_in_one_process_are_two_runs(local: Any, name: str) -> None:
    for stage in ("sft", "dpo"):
        recipe = local.recipe(stage, report_to=[name], optimization={"max_steps": 1})
        train(recipe, local.folder / stage, say=lambda _: None)
    known = [Memory.read(local.folder / stage).runs for stage in ("sft", "dpo")]
    assert name == "tensorboard" or known[0][name] != known[1][name]
    if name == "tensorboard":
        assert all(list((local.folder / s / "tensorboard").iterdir()) for s in ("sft", "dpo"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_a_run_that_the_caller_opened_is_used_and_left_open(local: Any) -> None:
    import wandb

    run = wandb.init(project="theirs")
    recipe = local.recipe("sft", report_to=["wandb"], optimization={"max_steps": 1})
    train(recipe, local.folder / "out", say=lambda _: None)
    assert wandb.run is run
    wandb.finish()


RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
report_to = ["{name}"]
data = {{ "sft.jsonl" = {{ fraction = 1.0 }} }}
optimization = {{ learning_rate = 1e-3, batch_size = 8, micro_batch_size = 4, max_steps = 2 }}
hardware = {{ device = "cpu", processes = 2 }}
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in TRACKERS if one.values != ("trackio",)])
def test_of_two_processes_one_reports(local: Any, name: str, launcher: Any) -> None:
    """Trackio is left out: the launcher imports it with TRL, and it reads TRACKIO_DIR only then."""
    prefix, curves = READERS[name]
    recipe = local.folder / "two.toml"
    recipe.write_text(RECIPE.format(model=local.model, name=name))
    own = ("WANDB", "MLFLOW", "TRACKIO")
    env = {key: value for key, value in os.environ.items() if key.startswith(own)}
    command = ["train", "sft", recipe, "--out", "out"]
    launcher.start(command, local.folder, processes=2, env=env).good()
    log = {row["step"]: row["loss"] for row in jsonl.read(local.folder / "out/train_log.jsonl")}
    assert curves(local.folder)[f"{prefix}loss"] == pytest.approx(log, rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_a_tracker_that_refuses_is_a_sentence_in_every_process(local: Any, launcher: Any) -> None:
    """No account is set up here, and nobody can be asked."""
    recipe = local.folder / "two.toml"
    recipe.write_text(RECIPE.format(model=local.model, name="wandb"))
    env = {"WANDB_MODE": "online", "WANDB_SILENT": "true", "HOME": str(local.folder)}
    running = launcher.start(
        ["train", "sft", recipe, "--out", "out"], local.folder, processes=2, env=env
    )
    assert all(running.wait())
    assert "wandb cannot report: " in running.text()
    assert "or set WANDB_MODE=offline" in running.text()
    assert "fault of olmes" not in running.text()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["wandbb"], "there is no tracker 'wandbb'; did you mean wandb"),
        (["tensor board"], "did you mean tensorboard"),
        (["all"], "there is no tracker 'all'; choose from wandb, tensorboard, mlflow, trackio"),
    ],
)
def test_an_unknown_tracker_is_refused_with_the_recipe(
    workshop: Any, names: list[str], sentence: str
) -> None:
    with pytest.raises(OlmesError, match=sentence):
        workshop.recipe("sft", report_to=names)


def test_a_missing_package_is_said_before_anything_is_loaded(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmes.trainers.trackers import names

    monkeypatch.setattr(names, "find_spec", lambda _: None)
    recipe = workshop.recipe("sft", report_to=["trackio"], model="no-such-folder/model")
    with pytest.raises(OlmesError, match=r'"pip install trackio", or "pip install .olmes.trackers'):
        train(recipe, workshop.folder / "out", say=lambda _: None)


def test_a_tracker_that_fails_ends_no_training() -> None:
    """A made-up tracker, because none of the real ones can be had to fail at will."""

    class Failing:
        calls = 0

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

        def on_log(self, *_: Any, **__: Any) -> None:
            self.calls += 1
            raise ConnectionError("the server is gone")

    said: list[str] = []
    tracker = guarded(Failing(), "mlflow", said.append)
    for _ in range(3):
        tracker.on_log(None, None, None)
    assert tracker.calls == 1
    assert said == [
        "mlflow reports no more: ConnectionError: the server is gone; the training continues"
    ]


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_any_other_callback_of_transformers_gets_scores_at_their_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the way that trackers go which nothing is known of; here TensorBoard's."""
    from transformers import TrainerControl, TrainerState, TrainingArguments

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "out/tensorboard"))
    tracker = other("tensorboard")
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    at_9 = TrainerState(global_step=9, is_world_process_zero=True)
    tracker.on_train_begin(arguments, at_9, TrainerControl())
    tracker.on_log(arguments, at_9, TrainerControl(), logs={"loss": 1.0})
    tracker.send(3, {"score/gsm8k": 0.5})
    tracker.on_train_end(arguments, at_9, TrainerControl())
    found = tensorboard_curves(tmp_path)
    assert found == {"train/loss": {9: 1.0}, "train/score/gsm8k": {3: 0.5}}


def test_numbers_that_are_not_known_are_not_sent() -> None:
    unknown = {"value": 0.5, "ci_low": None, "ci_high": None}
    nothing = dict.fromkeys(unknown)
    row: Any = {"suite": "dev", **nothing, "tasks": {"a": unknown, "b": nothing}}
    assert numbers_of(row) == {"score/a": 0.5}


def test_nothing_is_opened_where_nothing_waits(workshop: Any) -> None:
    out = workshop.folder / "out"
    recipe = workshop.recipe("sft", report_to=["wandb"])
    send_late(recipe, out, out / "scores", pytest.fail)
