"""`olmes train rlvr` with vLLM's real engine; `make test-vllm` runs this."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.known import known

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="needs vLLM in this environment; make test-vllm makes one",
    ),
]
OWN = Path(__file__).parent / "files/own_rewards.py"
GRPO = 'algorithm = "grpo"\n'
PPO = 'algorithm = "ppo"\n'
WAYS = {"grpo": (GRPO, ""), "ppo": (PPO, ""), "asynchronous": (PPO, "asynchronous = true\n")}
RECIPE = """
vllm = "colocate"
{top}
[ppo]
{ppo}
[data]
"rlvr.jsonl" = {{ fraction = 1.0 }}
[optimization]
schedule = "constant"
{step}
[hardware]
device = "cpu"
"""


def train(workshop: Any, way: str, top: str, step: str, ppo: str = "") -> list[dict[str, Any]]:
    """Train by the command, in processes of its own; the rows of the log."""
    algorithm, own = WAYS[way]
    recipe = workshop.folder / "rl.toml"
    recipe.write_text(RECIPE.format(top=algorithm + top, ppo=own + ppo, step=step))
    command = [sys.executable, "-m", "olmes", "train", "rlvr", "rl.toml", "--out", "out"]
    done = subprocess.run(
        command, cwd=workshop.folder, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in (workshop.folder / "out/train_log.jsonl").open()]


@pytest.mark.parametrize("way", WAYS)
def test_the_embedded_model_is_trained(workshop: Any, way: str) -> None:
    """Three updates; what vLLM says of its tokens is what the learner says of them."""
    verifiers = [{"function": f"{OWN}:fragile", "doc": {}}]
    rows = [{"messages": f"Write a number above {n}.", "verifiers": verifiers} for n in range(12)]
    workshop.write("rlvr.jsonl", rows)
    log = train(
        workshop, way,
        'model = "smollm2"\ngenerations = 2\nmax_completion_length = 8\nreward_scale = 1.0\n',
        "learning_rate = 1e-5\nbatch_size = 4\nmicro_batch_size = 2\nmax_steps = 3\n",
    )  # fmt: skip
    assert len(log) == 3
    if way == "grpo":
        for row in log:
            # Of whole sequences; TRL leaves vLLM its choice of precision, which is bfloat16.
            assert abs(row["sampling/importance_sampling_ratio/mean"] - 1) < 0.25
        return
    stale = [0, 1, 1] if way == "asynchronous" else [0, 0, 0]
    assert [row["staleness_max"] for row in log] == stale
    for row in log:
        if not row["staleness_max"]:
            assert abs(row["importance_ratio_max"] - 1) < 0.02
    assert log[-1]["kl"] != 0


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_toy_taught_to_add_half_the_time_adds_better(
    workshop: Any, warm_start: Any, addition_file: Path, tmp_path: Path, way: str
) -> None:
    """Held-out sums, greedy: what `olmes compare` says of before and after."""
    from olmes import evaluate
    from olmes.benchmark.registry import module_from_file
    from olmes.comparison.compare import compare_runs

    docs = module_from_file(addition_file).training_docs()[:4000]
    workshop.write(
        "rlvr.jsonl",
        [
            {"messages": doc["question"], "verifiers": [{"task": str(addition_file), "doc": doc}]}
            for doc in docs
        ],
    )
    start = warm_start(280, 0)
    top = (
        f'model = "{start}"\ntemplate = "tulu"\nmax_prompt_length = 32\nmax_completion_length = 5\n'
    )
    if way == "grpo":
        top += "beta = 0.0\ngenerations = 8\nreward_scale = 1.0\n"
    else:
        top += "updates_per_batch = 2\nmissing_end_reward = -10.0\n"
    log = train(
        workshop, way, top,
        "learning_rate = 3e-4\nbatch_size = 128\nmicro_batch_size = 128\nmax_steps = 120\n",
        "generation_batch_size = 128\n",
    )  # fmt: skip
    final = workshop.folder / "out/final"
    before, after = (
        evaluate(str(addition_file), model=str(model), out=tmp_path / "runs")
        for model in (start, final)
    )
    [task] = compare_runs(before, after).tasks
    difference = known(task.difference)
    print(f"\n{way}: {known(task.a.value):.3f} -> {known(task.b.value):.3f}: {difference.sentence}")
    assert difference.verdict == "better"
    assert max(row.get("staleness_max", 0) for row in log) == (way == "asynchronous")
