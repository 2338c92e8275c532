"""The run: what it writes, that it resumes after any death with the same numbers, whom it calls."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from olmes.errors import OlmesError
from olmes.trainers.ppo import checkpoint, train_ppo

if TYPE_CHECKING:
    from olmes.trainers.ppo.train import Trained


@pytest.fixture
def train(
    small: Any,
    rows: list[dict[str, Any]],
    evens: Callable[[Sequence[Any], Sequence[str]], list[float]],
    char_tokenizer: Any,
    settings: Callable[..., Any],
) -> Callable[..., Trained]:
    def run(folder: Path, config: Any = None, **more: Any) -> Any:
        given = {"policy": small, "tokenizer": char_tokenizer, "rows": rows, "reward": evens}
        return train_ppo(config or settings(), output_dir=folder, **given | more)

    return run


def without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in entry.items() if "seconds" not in k} for entry in history]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return found


def same(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_checkpoint_is_a_plain_folder_with_the_history(
    train: Callable[..., Trained], small: Any, tmp_path: Path, settings: Callable[..., Any]
) -> None:
    trained = train(tmp_path, settings(save_every=3))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-4"]
    assert trained.checkpoint == tmp_path / "checkpoint-4"
    assert AutoTokenizer.from_pretrained(trained.checkpoint).chat_template
    assert not same(trained.checkpoint, small)
    state = json.loads((trained.checkpoint / "trainer_state.json").read_text())
    assert state["global_step"] == state["max_steps"] == 4
    assert state["log_history"] == trained.history
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert trained.history[2]["epoch"] == pytest.approx(3 * 8 / 12)
    assert {"verified", "score", "kl", "entropy", "response_tokens"} <= set(trained.history[0])
    early = json.loads((tmp_path / "checkpoint-3/trainer_state.json").read_text())
    assert early["log_history"] == trained.history[:3]


class Dies(TrainerCallback):  # type: ignore[misc]
    """A callback that ends the run in the middle."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_a_run_goes_on_with_the_same_numbers(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any]
) -> None:
    config = settings(save_every=2, updates=5)
    whole = train(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", config, callbacks=[Dies(4)])
    assert [p.name for p in checkpoint.checkpoints(tmp_path / "cut")] == ["checkpoint-2"]
    resumed = train(tmp_path / "cut", config)
    assert without_times(resumed.history) == without_times(whole.history)
    assert same(resumed.checkpoint, whole.checkpoint)
    again = train(tmp_path / "cut", config)  # nothing is left to do
    assert again.checkpoint == resumed.checkpoint
    assert again.history == resumed.history


@pytest.mark.parametrize("at", [3, "rename"])
def test_a_save_that_was_cut_short_is_not_taken_for_one(
    train: Callable[..., Trained],
    tmp_path: Path,
    settings: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    at: Any,
) -> None:
    config = settings(save_every=2, updates=3)
    whole = train(tmp_path / "whole", config)
    calls = iter(range(1000))

    def dying(*args: Any) -> None:
        if at == "rename" or next(calls) == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if at == "rename":
            patch.setattr(Path, "rename", dying)
        else:
            patch.setattr(checkpoint, "flush", dying)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", config)
    assert checkpoint.checkpoints(tmp_path / "cut") == []
    assert [p.name for p in (tmp_path / "cut").iterdir()] == [".partial-checkpoint-2"]
    resumed = train(tmp_path / "cut", config)
    assert without_times(resumed.history) == without_times(whole.history)
    assert same(resumed.checkpoint, whole.checkpoint)
    assert not list((tmp_path / "cut").glob(".partial*"))


def test_another_experiment_in_the_folder_is_refused(
    train: Callable[..., Trained],
    tmp_path: Path,
    settings: Callable[..., Any],
    rows: list[dict[str, Any]],
) -> None:
    train(tmp_path, settings(updates=1))
    with pytest.raises(OlmesError, match=r"holds a run with updates = 1, beta = 0\.05"):
        train(tmp_path, settings(updates=2, beta=0.1))
    with pytest.raises(OlmesError, match="other prompts"):
        train(tmp_path, settings(updates=1), rows=rows[1:])
    train(tmp_path, settings(updates=1, micro_batch_size=2, save_every=1))


def test_only_so_many_checkpoints_are_kept(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any]
) -> None:
    train(tmp_path, settings(save_every=1, save_total_limit=2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-4"]


class Notes(TrainerCallback):  # type: ignore[misc]
    """A callback that writes down what it was told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.found: list[bool] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.events.append(f"begin {state.max_steps} {kwargs['model'].config.model_type}")

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.events.append(f"log {state.global_step} {'verified' in (logs or {})}")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.found.append((folder / "model.safetensors").is_file() and state.is_world_process_zero)
        self.events.append(f"save {state.global_step}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.events.append("end")


def test_callbacks_of_transformers_are_told(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any]
) -> None:
    notes = Notes()
    train(tmp_path, settings(save_every=2, updates=3), callbacks=[notes])
    assert notes.events == [
        "begin 3 llama", "log 1 True", "log 2 True", "save 2", "log 3 True", "save 3", "end",
    ]  # fmt: skip
    assert all(notes.found)


class Stops(TrainerCallback):  # type: ignore[misc]
    """A callback that wants the run to end after the second update."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        control.should_training_stop = state.global_step == 2
        return control


def test_a_callback_can_stop_the_run(train: Callable[..., Trained], tmp_path: Path) -> None:
    assert train(tmp_path, callbacks=[Stops()]).checkpoint == tmp_path / "checkpoint-2"
    assert train(tmp_path).checkpoint == tmp_path / "checkpoint-4"


@pytest.mark.parametrize("values", [[0.5], [float("inf")] * 8, [float("nan")] * 8])
def test_a_reward_that_is_no_reward_stops_the_run(
    train: Callable[..., Trained], tmp_path: Path, values: Any
) -> None:
    with pytest.raises(ValueError, match="values for 8 responses"):
        train(tmp_path, reward=lambda rows, texts: values)


def test_the_reward_sees_each_responses_own_row(
    train: Callable[..., Trained],
    tmp_path: Path,
    rows: list[dict[str, Any]],
    settings: Callable[..., Any],
) -> None:
    seen: list[str] = []

    def note(given: Any, texts: Any) -> list[float]:
        seen.extend(row["answer"] for row in given)
        return [0.0] * len(texts)

    train(tmp_path, settings(updates=3), reward=note)
    assert sorted(seen) == sorted(2 * [row["answer"] for row in rows])


def test_another_reference_is_where_the_kl_is_from(
    train: Callable[..., Trained],
    tmp_path: Path,
    settings: Callable[..., Any],
    build_chat: Callable[..., Path],
) -> None:
    other = build_chat(tmp_path / "other", seed=5, hidden_size=32, num_hidden_layers=1)
    own = train(tmp_path / "a", settings(updates=1)).history[0]
    far = train(tmp_path / "b", settings(updates=1), reference=other).history[0]
    assert abs(own["kl"]) < 1e-4
    assert abs(far["kl"]) > 1e-3
    assert far["reward"] == pytest.approx(far["score"] - 0.05 * far["kl"], abs=1e-4)


def test_a_policy_in_memory_is_trained_in_place(
    train: Callable[..., Trained], tmp_path: Path, policy: Any, small: Any
) -> None:
    trained = train(tmp_path / "memory", policy=policy)
    stored = weights(trained.checkpoint)
    assert all(torch.equal(v, stored[k]) for k, v in policy.state_dict().items())
    assert same(trained.checkpoint, train(tmp_path / "folder").checkpoint)


SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from transformers import AutoTokenizer
from olmes.trainers.ppo import PPOConfig, checkpoint, train_ppo

if __name__ == "__main__":
    policy, rows, out, die = sys.argv[1:]
    flush, calls = checkpoint.flush, iter(range(10**6))

    def flush_or_die(path):
        flush(path)
        if next(calls) == int(die):
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.flush = flush_or_die
    config = PPOConfig(
        updates=4, batch_size=8, learning_rate=1e-3, max_completion_length=4, save_every=1,
        generation_batch_size=4, micro_batch_size=4, updates_per_batch=2,
    )
    trained = train_ppo(
        config, policy=policy, tokenizer=AutoTokenizer.from_pretrained(policy),
        rows=json.loads(rows), output_dir=out,
        reward=lambda rows, texts: [float("1" in text) for text in texts],
    )
    print(trained.checkpoint)
"""


@pytest.mark.slow
def test_killed_in_a_save_the_same_command_goes_on(
    small: Any, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def command(out: str, die: int) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, script, small, json.dumps(rows), tmp_path / out, str(die)],
            capture_output=True, check=False,
        )  # fmt: skip

    undisturbed = command("whole", -1)
    assert undisturbed.returncode == 0, undisturbed.stderr.decode()
    files = len(list((tmp_path / "whole/checkpoint-1").rglob("*"))) + 2
    assert command("cut", 2 * files + 3).returncode == -9
    left = sorted(p.name for p in (tmp_path / "cut").iterdir())
    assert left == [".partial-checkpoint-3", "checkpoint-1", "checkpoint-2"]
    assert command("cut", 2).returncode == -9  # again, in its first save
    finished = command("cut", -1)
    assert finished.returncode == 0, finished.stderr.decode()
    states = [
        json.loads((tmp_path / out / "checkpoint-4/trainer_state.json").read_text())
        for out in ("whole", "cut")
    ]
    assert without_times(states[0]["log_history"]) == without_times(states[1]["log_history"])
    assert same(tmp_path / "whole/checkpoint-4", tmp_path / "cut/checkpoint-4")
