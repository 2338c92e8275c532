"""Two learning processes, as `accelerate launch` starts them, learn what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, sys
from transformers import AutoTokenizer
from olmes.trainers.ppo import PPOConfig, train_ppo

if __name__ == "__main__":
    policy, rows, out, asynchronous = sys.argv[1:]
    config = PPOConfig(
        updates=2, batch_size=8, learning_rate=1e-3, response_length=4, minibatches=2,
        generation_batch_size=4, micro_batch_size=3, epochs=2,
    )
    train_ppo(
        config, policy=policy, tokenizer=AutoTokenizer.from_pretrained(policy),
        rows=json.loads(rows), output_dir=out, asynchronous=asynchronous == "asynchronous",
        reward=lambda rows, texts: [sum(c in "02468" for c in t) / 4 for t in texts],
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_two_processes_learn_what_one_does(
    small: Path, rows: Any, tmp_path: Path, mode: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def launch(processes: int) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
        out = tmp_path / f"out-{processes}"
        answer = subprocess.run(
            [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_machines=1",
             f"--num_processes={processes}", "--mixed_precision=no", "--dynamo_backend=no",
             "--main_process_port=0", script, small, json.dumps(rows), out, mode],
            capture_output=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=300,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()[-3000:]
        last = out / "checkpoint-2"
        state = json.loads((last / "trainer_state.json").read_text())
        return AutoModelForCausalLM.from_pretrained(last).state_dict(), state["log_history"]

    (one, first), (two, second) = launch(1), launch(2)
    # Asynchronous runs differ from the second update on by when the weights arrived.
    compared = 2 if mode == "synchronous" else 1
    for a, b in list(zip(first, second, strict=True))[:compared]:
        for name, value in a.items():
            if "seconds" not in name:
                assert b[name] == pytest.approx(value, rel=1e-3, abs=2e-5), name
    if mode == "synchronous":
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
