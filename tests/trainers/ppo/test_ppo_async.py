"""Generation beside learning: staleness, weights in shared memory, and processes that die."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from olmes.errors import OlmesError
from olmes.trainers.ppo import train_ppo
from olmes.trainers.ppo.asynchronous import Asynchronous
from olmes.trainers.ppo.rollout import Order, Prompts, Rollout
from olmes.trainers.ppo.weights import SharedWeights

if TYPE_CHECKING:
    from olmes.trainers.ppo.train import Trained

REPOSITORY = Path(__file__).parents[3]


class Inline:
    """`Workers` without processes: orders wait until they are asked for, the version is the last.

    It stands for a generator that has begun everything it was asked for at once: what it makes is of
    the policy that was the newest when the order came.
    """

    restarted = 0

    def __init__(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self.version = 0
        self.made: deque[list[Rollout]] = deque()
        self.orders: list[Order] = []

    def submit(self, order: Order) -> None:
        self.orders.append(order)
        pairs = zip(order.positions, order.rows, strict=True)
        self.made.append(
            [
                Rollout(p, r, self.prompts.encoded[r], (1,), (-1.0,), True, self.version)
                for p, r in pairs
            ]
        )

    def receive(self) -> list[Rollout]:
        return self.made.popleft()

    def publish(self, weights: Any, version: int) -> None:
        self.version = version

    def close(self) -> None:
        pass


class NoLearner:
    """What `Asynchronous` needs of a learner."""

    def policy_weights(self) -> dict[str, Any]:
        return {}

    class accelerator:  # noqa: N801
        num_processes = 1


@pytest.fixture
def source(
    rows: list[dict[str, Any]], char_tokenizer: Any, settings: Callable[..., Any]
) -> Callable[..., tuple[Asynchronous, Inline]]:
    def make(**changes: Any) -> tuple[Asynchronous, Inline]:
        config = settings(**{"updates": 6} | changes)
        prompts = Prompts(rows, char_tokenizer, 100, config.seed)
        workers = Inline(prompts)
        learner: Any = NoLearner()
        return Asynchronous(config, learner, prompts, 0, workers), workers

    return make


@pytest.mark.parametrize("queue", [1, 2, 3])
def test_every_batch_has_its_positions_and_is_as_stale_as_the_queue_is_long(
    source: Callable[..., tuple[Asynchronous, Inline]], queue: int
) -> None:
    asynchronous, workers = source(queue_size=queue, max_staleness=3)
    for update in range(6):
        batch = asynchronous.batch(update)
        assert [r.position for r in batch] == list(range(update * 8, update * 8 + 8))
        assert {update - r.version for r in batch} == {min(update, queue)}
        ahead = sum(len(order.positions) for order in workers.orders) - 8 * (update + 1)
        assert ahead == 8 * min(queue, 5 - update)  # never more than the queue, none after the end
        asynchronous.publish(update + 1)
    assert asynchronous.dropped == 0


def test_stale_rollouts_are_dropped_and_made_anew_with_other_seeds(
    source: Callable[..., tuple[Asynchronous, Inline]],
) -> None:
    asynchronous, workers = source(queue_size=3, max_staleness=1)
    for update in range(6):
        batch = asynchronous.batch(update)
        assert [r.position for r in batch] == list(range(update * 8, update * 8 + 8))
        assert all(update - r.version <= 1 for r in batch)
        asynchronous.publish(update + 1)
    assert asynchronous.counters()["dropped"] == 4 * 8  # updates 2, 3, 4 and 5 came 2 or 3 late
    orders = [order for order in workers.orders if 16 in order.positions]
    assert [order.positions for order in orders] == [(16, 17, 18, 19)] * 2
    assert orders[0].rows == orders[1].rows
    assert orders[0].seed != orders[1].seed


# -- weights


def test_weights_go_over_whole_and_a_killed_holder_blocks_nobody(policy: Any) -> None:
    import copy

    weights = SharedWeights(policy.state_dict())
    weights.write(policy.state_dict(), 3)
    other = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert weights.read(other, 3) == 3  # held already: not copied
    assert all(float(p.detach().abs().sum()) == 0 for p in other.parameters())
    assert weights.read(other, 2) == 3
    for name, tensor in policy.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX);"
         "print('held', flush=True); time.sleep(60)", f"{weights.folder}/lock"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    weights.write(policy.state_dict(), 4)
    assert weights.read(other, 3) == 4
    holder.communicate()
    weights.close()
    assert not Path(weights.folder).exists()


def test_what_a_killed_process_left_is_removed_by_the_next(
    policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = SharedWeights(policy.state_dict())
    left = tmp_path / "olmes-weights-left"
    left.mkdir()
    (left / "owner").touch()
    (left / "lock").touch()
    for folder in (left, Path(mine.folder)):
        os.utime(folder, (1, 1))
    other = SharedWeights(policy.state_dict())
    assert not left.exists()
    assert Path(mine.folder).is_dir()
    for weights in (mine, other):
        weights.close()
    assert not list(tmp_path.iterdir())


# -- processes


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of generators that die, under a name a spawned process can import."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "files"))
    return importlib.import_module("dying_generators")


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
        given |= {"output_dir": folder, "asynchronous": True}
        return train_ppo(config or settings(), **given | more)

    return run


def alone() -> bool:
    """Whether no child of this process runs."""
    return not multiprocessing.active_children()


@pytest.mark.slow
def test_the_first_batch_is_the_synchronous_one(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any]
) -> None:
    config = settings(updates=3)
    other = train(tmp_path / "asynchronous", config)
    first = train(tmp_path / "synchronous", config, asynchronous=False).history
    for name, value in first[0].items():
        if "seconds" not in name:
            assert other.history[0][name] == value, name
    assert [entry["staleness_max"] for entry in other.history] == [0, 1, 1]
    assert [entry["importance_ratio_max"] > 1.001 for entry in other.history] == [False, True, True]
    assert alone()


@pytest.mark.slow
def test_a_generator_killed_while_it_generates_is_replaced(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any], dying: Any
) -> None:
    seen: list[int] = []

    def note(rows: Any, texts: Any) -> list[float]:
        seen.append(len(texts))
        return [float("1" in text) for text in texts]

    make = partial(dying.once, mark=tmp_path / "died")
    trained = train(tmp_path / "run", settings(), make_generator=make, reward=note)
    assert (tmp_path / "died").exists()
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1]["generators_restarted"] == 1
    assert seen == [8, 8, 8, 8]
    assert alone()


@pytest.mark.slow
def test_a_generator_that_always_dies_ends_the_run_with_a_word(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any], dying: Any
) -> None:
    with pytest.raises(OlmesError, match=r"died 2 times in a row .*-9.*lower generation_batch"):
        train(tmp_path, settings(restarts=1), make_generator=dying.Hopeless)
    assert alone()


@pytest.mark.slow
def test_an_error_in_a_generator_is_raised_with_its_trace(
    train: Callable[..., Trained], tmp_path: Path, dying: Any
) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: the seventh token"):
        train(tmp_path, make_generator=dying.Faulty)
    assert alone()


@pytest.mark.slow
def test_an_error_in_the_learner_leaves_no_process(
    train: Callable[..., Trained], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="values for 8 responses"):
        train(tmp_path, reward=lambda rows, texts: [])
    assert alone()


SCRIPT = """
import json, sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from transformers import AutoTokenizer, TrainerCallback
from olmes.trainers.ppo import PPOConfig, train_ppo
from dying_generators import Slow

class Tell(TrainerCallback):
    def on_log(self, args, state, control, **kwargs):
        import multiprocessing
        pids = [child.pid for child in multiprocessing.active_children()]
        print(json.dumps({"step": state.global_step, "pids": pids}), flush=True)

if __name__ == "__main__":
    policy, rows, out = sys.argv[1:]
    config = PPOConfig(
        updates=6, batch_size=8, learning_rate=1e-3, max_completion_length=4, save_every=2,
        generation_batch_size=8, micro_batch_size=8, updates_per_batch=2,
    )
    trained = train_ppo(
        config, policy=policy, tokenizer=AutoTokenizer.from_pretrained(policy),
        rows=json.loads(rows), output_dir=out, callbacks=[Tell()], asynchronous=True,
        make_generator=Slow, reward=lambda rows, texts: [float("1" in text) for text in texts],
    )
    print("done", trained.checkpoint, flush=True)
"""


def running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int], seconds: float) -> bool:
    """Whether processes end within some time."""
    end = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(running, pids))


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_killed_while_it_generates_the_same_command_goes_on(
    small: Any, rows: list[dict[str, Any]], tmp_path: Path, signum: int
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, small, json.dumps(rows), tmp_path / "out"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent / "files")}
    # A session of its own, so that Ctrl-C reaches generator and learner alike, as in a terminal.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        told = json.loads(line)
        if told["step"] == 3:
            break
    assert len(told["pids"]) == 1
    assert running(told["pids"][0])
    if signum == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, signum)
    assert process.wait(timeout=30) != 0
    process.stdout.close()
    assert gone(told["pids"], 10)
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert json.loads(lines[0])["step"] == 3  # from checkpoint-2
    assert lines[-1].endswith("checkpoint-6")
    state = json.loads((tmp_path / "out/checkpoint-6/trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow  # a ratio of two wall times: beside other work it says little
def test_asynchronous_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bench.async_ppo` in small: the time of twelve updates after the first."""
    monkeypatch.syspath_prepend(str(REPOSITORY))
    from bench.async_ppo import measure

    results = measure(updates=13, batch_size=8)
    ratio = results["synchronous"]["steady"] / results["asynchronous"]["steady"]
    assert ratio > 1.3, results
    assert results["asynchronous"]["staleness"] == 1
    assert results["synchronous"]["staleness"] == 0


def test_ray_that_is_missing_is_said(
    train: Callable[..., Trained], tmp_path: Path, settings: Callable[..., Any]
) -> None:
    if find_spec("ray"):
        pytest.skip("Ray is installed")
    with pytest.raises(OlmesError, match=r"needs Ray: pip install 'olmes\[ray\]'"):
        train(tmp_path, settings(carrier="ray"))
    assert alone()


@pytest.mark.slow
def test_ray_actors_generate_and_are_replaced(
    train: Callable[..., Trained],
    tmp_path: Path,
    settings: Callable[..., Any],
    dying: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'olmes[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    make = partial(dying.once, mark=tmp_path / "died")
    trained = train(tmp_path / "run", settings(carrier="ray"), make_generator=make)
    assert (tmp_path / "died").exists()
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1]["generators_restarted"] == 1
    assert all(entry["staleness_max"] <= 1 for entry in trained.history)
    assert trained.history[0]["importance_ratio_max"] == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("carrier", ["processes", "ray"])
def test_a_stopped_generator_is_named_and_replaced(
    train: Callable[..., Trained],
    tmp_path: Path,
    settings: Callable[..., Any],
    dying: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    carrier: str,
) -> None:
    if carrier == "ray":
        pytest.importorskip("ray", reason="needs Ray: pip install 'olmes[ray]'")
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    make = partial(dying.once, mark=tmp_path / "stopped", how=signal.SIGSTOP)
    config = settings(carrier=carrier, wait_minutes=0.1)
    trained = train(tmp_path / "run", config, make_generator=make)
    assert [entry["step"] for entry in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1]["generators_restarted"] == 1
    said = capfd.readouterr().err
    assert "has shown no sign of life for 6 s; it is replaced" in said
    assert "waiting for rollouts of generator" in said
