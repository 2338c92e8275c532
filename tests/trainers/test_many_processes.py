"""Every stage by `olmes train` in two processes: the same weights, kills, caches apart, stops."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.conftest import Workshop
from tests.trainers.launching import Launcher, Running, free_port

LETTERS = Path(__file__).parent / "files/letters_task.py"
STAGES = ("sft", "dpo", "reward", "grpo", "ppo")
STRATEGIES = ("ddp", "fsdp")
TIMES = int(os.environ.get("OLMES_KILLS", "3"))
RECIPE = """
model = "{model}"
template = "tulu"
seed = 3
{more}
[data]
"{data}.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-4
batch_size = 8
micro_batch_size = 2
max_steps = 5
warmup_ratio = 0.0
[checkpoints]
every = 2
[hardware]
device = "cpu"
"""
RL = "generations = 4\nmax_prompt_length = 32\nmax_completion_length = 6\n"
MORE = {"grpo": RL, "ppo": f'algorithm = "ppo"\n{RL}[ppo]\ngeneration_batch_size = 3\n'}
Train = Callable[..., Running]


@pytest.fixture
def start(launcher: Launcher, workshop: Workshop) -> Train:
    """`start(stage, out, processes=2, sets=[...], own=[...])`: the command, begun."""
    rows = [
        {
            "messages": [{"role": "user", "content": f"{a}+{a + 7}"}],
            "verifiers": [{"task": str(LETTERS), "doc": {"question": str(a), "answer": "a"}}],
        }
        for a in range(10, 42)
    ]
    workshop.write("rlvr.jsonl", rows)
    for stage in STAGES:
        kind = {"reward": "dpo", "grpo": "rlvr", "ppo": "rlvr"}.get(stage, stage)
        more = MORE.get(stage, "max_length = 64")
        text = RECIPE.format(model=workshop.model, data=kind, more="")
        # Tables end the keys of the recipe itself, so that PPO's own table comes last.
        own, _, table = more.partition("[ppo]")
        text = text.replace("seed = 3\n", f"seed = 3\n{own}\n") + (f"[ppo]{table}" if table else "")
        (workshop.folder / f"{stage}.toml").write_text(text)

    def begin(
        stage: str, out: str, processes: int = 2, sets: list[str] | None = None, **more: Any
    ) -> Running:
        kind = "rlvr" if stage in MORE else stage
        arguments = ["train", kind, f"{stage}.toml", "--out", out]
        for pair in [f"hardware.processes={processes}", *(sets or [])]:
            arguments += ["--set", pair]
        return launcher.start(arguments, workshop.folder, processes=processes, **more)

    return begin


def weights(folder: Path) -> dict[str, Any]:
    """The tensors of a last state, which must be a plain checkpoint."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    config = json.loads((folder / "final/config.json").read_text())
    scores = config["architectures"] == ["LlamaForSequenceClassification"]
    kind = AutoModelForSequenceClassification if scores else AutoModelForCausalLM
    return dict(kind.from_pretrained(folder / "final").state_dict())


def furthest(one: dict[str, Any], two: dict[str, Any]) -> float:
    """The largest difference of two states, in what both have."""
    names = one.keys() & two.keys()
    assert len(names) > 15
    return max(float((one[name] - two[name]).abs().max()) for name in names)


def digest(folder: Path) -> str:
    """Of the bytes of the last weights."""
    return hashlib.sha256((folder / "final/model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_learn_what_one_does(
    start: Train, workshop: Workshop, stage: str, strategy: str
) -> None:
    from safetensors.torch import load_file

    start(stage, "one", 1).good()
    start(stage, "two", 2, [f"hardware.strategy={strategy}"]).good()
    one, two = weights(workshop.folder / "one"), weights(workshop.folder / "two")
    assert furthest(one, dict(load_file(workshop.model / "model.safetensors"))) > 1e-4
    assert one.keys() == two.keys()
    assert furthest(one, two) < 1e-6
    assert json.loads((workshop.folder / "two/done.json").read_text())["step"] == 5
    files = {path.name for path in (workshop.folder / "two/checkpoint-4").rglob("*")}
    if stage != "ppo":  # whose optimizer has one name whoever cut it
        assert ("optimizer.bin" in files) == (strategy == "fsdp"), "copies, or shards"


def test_dpo_reads_the_reference_once_whoever_has_a_cache(start: Train, workshop: Workshop) -> None:
    """Homes of their own: empty, then remembered by one of the two alone."""
    apart = [{"OLMES_CACHE": str(workshop.folder / f"home-{number}")} for number in range(2)]
    first = start("dpo", "first", own=apart).good(120)
    assert first.count("the reference reads") == 1
    assert list((workshop.folder / "home-0").rglob("*.jsonl"))
    assert not list((workshop.folder / "home-1").rglob("reference-logps/*"))
    again = start("dpo", "again", own=apart).good(120)
    assert again.count("are remembered") == 1
    assert digest(workshop.folder / "first") == digest(workshop.folder / "again")
    # The other one remembers, and is not asked.
    third = start("dpo", "third", own=apart[::-1], machines=2).good(120)
    assert third.count("the reference reads") == 1
    assert digest(workshop.folder / "first") == digest(workshop.folder / "third")


def test_ppo_leaves_a_whole_last_state(start: Train, workshop: Workshop) -> None:
    text = start("ppo", "two", sets=["optimization.max_steps=2"]).good(120)
    assert text.count("rlvr done") == 1
    assert weights(workshop.folder / "two")
    again = start("ppo", "two", sets=["optimization.max_steps=2"]).good(120)
    assert again.count("nothing to do") == 1


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("stage", STAGES)
def test_killed_anywhere_the_last_bytes_are_the_same(
    start: Train, workshop: Workshop, stage: str, strategy: str
) -> None:
    sets = [f"hardware.strategy={strategy}"]
    began = time.monotonic()
    start(stage, "whole", sets=sets).good()
    whole = time.monotonic() - began
    chance = random.Random(stage + strategy)
    for number in range(TIMES):
        out = workshop.folder / f"killed-{number}"
        resumed = 0
        while not (out / "done.json").is_file():
            running = start(stage, out.name, sets=sets)
            time.sleep(chance.uniform(0.2, 1.1) * whole)
            running.kill()
            resumed += 1
            assert resumed < 30
        assert digest(out) == digest(workshop.folder / "whole"), f"after {resumed} starts"
        shutil.rmtree(out)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_process_is_named_and_not_waited_for_for_ever(
    start: Train, workshop: Workshop, stage: str, stopped: int
) -> None:
    sets = ["hardware.wait_minutes=0.1", "optimization.max_steps=2000", "checkpoints.every=2000"]
    running = start(stage, "stopped", sets=sets)
    log = workshop.folder / "stopped/train_log.jsonl"
    end = time.monotonic() + 60
    while not (log.is_file() and log.read_text().count("\n") > 2):
        assert time.monotonic() < end, running.text()
        time.sleep(0.05)
    time.sleep(1.5)  # two signs of life
    os.kill(running.processes[stopped], signal.SIGSTOP)
    began = time.monotonic()
    statuses = running.wait(40)
    assert time.monotonic() - began < 20
    assert statuses[1 - stopped] == 2
    text = running.text()
    assert f"rank {stopped} (host " in text
    assert f"process {running.processes[stopped]}) has shown no sign of life for" in text
    # The first one serves here what the others ask.
    assert stopped == 0 or "it was at: update " in text
    assert "internal error" not in text


def children(process: int) -> list[int]:
    """The processes that a process has spawned for itself."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in found if "spawn_main" in Path(f"/proc/{one}/cmdline").read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_stopped_generator_is_named_and_replaced(
    start: Train, workshop: Workshop, processes: int
) -> None:
    sets = ["ppo.asynchronous=true", "hardware.wait_minutes=0.1", "optimization.max_steps=60"]
    running = start("ppo", "out", processes, sets)
    log = workshop.folder / "out/train_log.jsonl"
    end = time.monotonic() + 120
    while not (log.is_file() and log.read_text().count("\n") > 2):
        assert time.monotonic() < end, running.text()
        time.sleep(0.01)
    [generator] = children(running.processes[0])
    os.kill(generator, signal.SIGSTOP)
    text = running.good(200)
    assert f"generator process {generator} has shown no sign of life for" in text
    assert "it is replaced" in text
    assert json.loads((workshop.folder / "out/done.json").read_text())["step"] == 60


@pytest.mark.slow
def test_two_machines_with_homes_of_their_own(start: Train, workshop: Workshop) -> None:
    """The printed line, run twice over loopback; only the folder of the training is shared."""
    start("dpo", "one", 1).good()
    olmes = [sys.executable, "-m", "olmes", "train", "dpo", "dpo.toml", "--out", "two"]
    sets = ["--set", "hardware.processes=2", "--set", "hardware.machines=2"]
    printed = subprocess.run(
        [*olmes, *sets, "--launch-line"], cwd=workshop.folder, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    port = free_port()
    started = []
    for machine in range(2):
        home = workshop.folder / f"home-{machine}"
        home.mkdir()
        line = printed.stdout.strip().replace("$RANK", str(machine)).replace("$HOST", "127.0.0.1")
        words = shlex.split(line.replace("29500", str(port)))
        assert words[0] == "torchrun"
        env = {**os.environ, "HOME": str(home), "OLMES_CACHE": str(home / "cache")}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "torch.distributed.run", *words[1:]],
                cwd=workshop.folder, env=env, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    texts = [one.communicate(timeout=300)[0] for one in started]
    assert [one.returncode for one in started] == [0, 0], "".join(texts)[-3000:]
    assert "".join(texts).count("dpo done") == 1
    one, two = weights(workshop.folder / "one"), weights(workshop.folder / "two")
    assert one.keys() == two.keys()
    assert furthest(one, two) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["dpo", "ppo"])
def test_the_true_launcher(start: Train, workshop: Workshop, stage: str) -> None:
    """`olmes train` starts the processes, and their last state is scored by `olmes run`."""
    start(stage, "one", 1).good()
    kind = "rlvr" if stage in MORE else stage
    command = [sys.executable, "-m", "olmes", "train", kind, f"{stage}.toml", "--out", "two"]
    for pair in ("hardware.processes=2", "hardware.device='cpu'", "hardware.strategy=fsdp"):
        command += ["--set", pair]
    ended = subprocess.run(
        command, cwd=workshop.folder, capture_output=True, text=True, check=False, timeout=200
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    one, two = weights(workshop.folder / "one"), weights(workshop.folder / "two")
    assert one.keys() == two.keys()
    assert furthest(one, two) < 1e-6
    scored = subprocess.run(
        [sys.executable, "-m", "olmes", "run", "--model", "two/final", "--task", str(LETTERS),
         "--out", "runs"],
        cwd=workshop.folder, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr[-3000:]
