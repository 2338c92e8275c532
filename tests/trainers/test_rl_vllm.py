"""`olmes train rlvr` with vLLM's real engine; `make test-vllm` runs this."""

from __future__ import annotations

import importlib.util
import json
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
WAYS: dict[str, dict[str, Any]] = {
    "grpo": {"algorithm": "grpo"},
    "ppo": {"algorithm": "ppo"},
    "asynchronous": {"algorithm": "ppo", "ppo": {"asynchronous": True}},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_embedded_model_is_trained(workshop: Any, launcher: Any, way: str) -> None:
    """Three updates; what vLLM says of its tokens is what the learner says of them."""
    rows = [
        {
            "messages": f"Write a number above {n}.",
            "verifiers": [{"function": f"{OWN}:fragile", "doc": {}}],
        }
        for n in range(12)
    ]
    workshop.write("rlvr.jsonl", rows)
    recipe = workshop.folder / "rl.toml"
    asynchronous = "[ppo]\nasynchronous = true" if way == "asynchronous" else ""
    recipe.write_text(f"""
model = "smollm2"
algorithm = "{WAYS[way]["algorithm"]}"
vllm = "colocate"
generations = 2
max_completion_length = 8
reward_scale = 1.0
{asynchronous}
[data]
"rlvr.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-5
schedule = "constant"
batch_size = 4
micro_batch_size = 2
max_steps = 3
[hardware]
device = "cpu"
""")
    out = workshop.folder / "out"
    launcher.start(["train", "rlvr", recipe, "--out", out], workshop.folder).good(900)
    log = [json.loads(line) for line in (out / "train_log.jsonl").open()]
    assert len(log) == 3
    for row in log:
        if way == "grpo":
            # A mean over the tokens, which vLLM and the learner round differently.
            assert abs(row["sampling/importance_sampling_ratio/mean"] - 1) < 0.05
        elif way == "ppo":
            assert row["staleness_max"] == 0
            assert abs(row["importance_ratio_max"] - 1) < 0.02
    if way == "asynchronous":
        assert [row["staleness_max"] for row in log] == [0, 1, 1]
        assert abs(log[0]["importance_ratio_max"] - 1) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_toy_taught_to_add_half_the_time_adds_better(
    workshop: Any, warm_start: Any, addition_file: Path, tmp_path: Path, way: str
) -> None:
    from olmes import evaluate
    from olmes.benchmark.registry import module_from_file
    from olmes.comparison.compare import compare_runs
    from olmes.trainers.train import train

    docs = module_from_file(addition_file).training_docs()[:4000]
    verifiers = [[{"task": str(addition_file), "doc": doc}] for doc in docs]
    workshop.write(
        "rlvr.jsonl",
        [
            {"messages": doc["question"], "verifiers": by}
            for doc, by in zip(docs, verifiers, strict=True)
        ],
    )
    start = warm_start(280, 0)
    table = dict(WAYS[way])
    if way != "grpo":
        table["ppo"] = {**table.get("ppo", {}), "generation_batch_size": 128}
    recipe = workshop.recipe(
        "rlvr", **table, model=str(start), vllm="colocate", max_completion_length=5, generations=8,
        beta=0.0 if way == "grpo" else 0.05, reward_scale=1.0 if way == "grpo" else 10.0,
        missing_end_reward=None if way == "grpo" else -10.0,
        updates_per_batch=1 if way == "grpo" else 2, checkpoints={"every": 120},
        optimization={
            "learning_rate": 3e-4, "schedule": "constant", "batch_size": 128,
            "micro_batch_size": 128, "max_steps": 120,
        },
    )  # fmt: skip
    final = train(recipe, tmp_path / "out", say=lambda _: None)
    before, after = (
        evaluate(str(addition_file), model=str(model), out=tmp_path / "runs")
        for model in (start, final)
    )
    [task] = compare_runs(before, after).tasks
    difference = known(task.difference)
    print(f"\n{way}: {known(task.a.value):.3f} -> {known(task.b.value):.3f}: {difference.sentence}")
    assert difference.verdict == "better"
