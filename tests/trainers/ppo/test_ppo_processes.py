"""Two learning processes, as a launcher starts them, learn what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, os, sys
from transformers import AutoTokenizer
from olmes.trainers.ppo import PPOConfig, train_ppo

if __name__ == "__main__":
    policy, rows, out, asynchronous, shard, updates = sys.argv[1:]
    config = PPOConfig(
        updates=int(updates), batch_size=8, learning_rate=1e-3, max_completion_length=4, minibatches=2,
        generation_batch_size=4, micro_batch_size=3, updates_per_batch=2, shard=shard == "shard",
        schedule="constant", save_every=2,
    )
    train_ppo(
        config, policy=policy, tokenizer=AutoTokenizer.from_pretrained(policy),
        rows=json.loads(rows), output_dir=out, asynchronous=asynchronous == "asynchronous",
        reward=lambda rows, texts: [sum(c in "02468" for c in t) / 4 for t in texts],
    )
    # In one write: the processes share this output.
    os.write(1, f"one of {os.environ['WORLD_SIZE']}\\n".encode())
"""


@pytest.fixture
def launch(small: Path, rows: Any, tmp_path: Path) -> Any:
    """Train in some processes; the last policy and the log."""
    from transformers import AutoModelForCausalLM

    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def run(
        processes: int, mode: str, shard: str = "", updates: int = 2, out: str = ""
    ) -> tuple[dict[str, Any], list[dict[str, float]]]:
        folder = tmp_path / (out or f"out-{processes}{shard}")
        # torchrun, because `accelerate launch --cpu` starts one process whatever it is told.
        answer = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc_per_node={processes}", script, small, json.dumps(rows), folder, mode, shard,
             str(updates)],
            capture_output=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=600,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()[-3000:]
        assert answer.stdout.decode().count(f"one of {processes}") == processes
        last = folder / f"checkpoint-{updates}"
        state = json.loads((last / "trainer_state.json").read_text())
        return AutoModelForCausalLM.from_pretrained(last).state_dict(), state["log_history"]

    return run


def check_alike(first: Any, second: Any, updates: int) -> None:
    """The numbers of the first updates agree, but for the clocks."""
    for a, b in list(zip(first, second, strict=True))[:updates]:
        for name, value in a.items():
            if "seconds" not in name:
                assert b[name] == pytest.approx(value, rel=1e-3, abs=2e-5), name


def check_same(one: Any, two: Any) -> None:
    """Two policies have the same weights."""
    import torch

    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["", "shard"])
@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
def test_two_processes_learn_what_one_does(launch: Any, mode: str, shard: str) -> None:
    """As copies of the models, and with the weights cut between the two."""
    (one, first), (two, second) = launch(1, mode), launch(2, mode, shard)
    # Asynchronous runs differ from the second update on by when the weights arrived.
    check_alike(first, second, 2 if mode == "synchronous" else 1)
    if mode == "synchronous":
        check_same(one, two)


@pytest.mark.slow
def test_processes_that_share_the_weights_go_on_from_a_checkpoint(
    launch: Any, tmp_path: Path
) -> None:
    """The optimizer is put back too: the third update is that of a run nobody stopped."""
    import shutil

    whole, history = launch(2, "synchronous", "shard", updates=3, out="whole")
    stopped = tmp_path / "stopped"
    launch(2, "synchronous", "shard", updates=3, out="stopped")
    shutil.rmtree(stopped / "checkpoint-3")
    again, told = launch(2, "synchronous", "shard", updates=3, out="stopped")
    assert [entry["step"] for entry in told] == [1, 2, 3]
    check_alike(history, told, 3)
    check_same(whole, again)
