"""Ten checkpoints of one model: one warm process over ten single runs, model time taken out.

`python -m bench.checkpoint_sequence`. The checkpoints are real files of a one-layer Llama with the
embedded model's tokenizer (49,152 tokens), so that prompts cost what they cost and the model next to
nothing. What it does cost, loading left in, is read from the records and taken out of the wall time;
the processor seconds, of all processes, are given as they are. `--singles N` runs only so many alone
and scales them up, for a machine with little time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.files.lm_eval_model import conditions

SETTINGS = ("gsm8k.max_tokens=4", "math.max_tokens=4", "ifeval.max_tokens=4")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of some processes."""

    wall: float
    cpu: float
    model: float
    """Wall seconds within the model, as the records say."""

    def __add__(self, other: Spent) -> Spent:
        """The sums."""
        return Spent(self.wall + other.wall, self.cpu + other.cpu, self.model + other.model)

    def times(self, factor: float) -> Spent:
        """The same so many times."""
        return Spent(self.wall * factor, self.cpu * factor, self.model * factor)

    @property
    def without_model(self) -> float:
        """Wall seconds outside of the model."""
        return self.wall - self.model


def make_checkpoints(place: Path, count: int) -> list[Path]:
    """Folders `step_10`, `step_20`, ... as a training writes them."""
    import torch
    from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

    from olmes.models.checkpoint.smollm2 import embedded_folder

    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    end = tokenizer.eos_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=8192,
        eos_token_id=end, bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end)
    folders = []
    for step in range(1, count + 1):
        folders.append(place / f"step_{10 * step}")
        model.save_pretrained(folders[-1])
        tokenizer.save_pretrained(folders[-1])
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.02 * torch.randn_like(weight))
    return folders


def run(models: str, out: Path, limit: int) -> Spent:
    """One `olmes run` on the development suite, a process of its own."""
    command = [
        sys.executable, "-m", "olmes", "run", "--suite", "dev", "--limit", str(limit), "--no-cache",
        "--out", str(out), "--model", models,
    ]  # fmt: skip
    for setting in SETTINGS:
        command += ["--set", setting]
    environment = {"OLMES_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system
    records = [json.loads(path.read_text("utf-8")) for path in out.glob("*/run.json")]
    model = sum(record["cost"]["model_s"] for record in records)
    return Spent(wall, cpu - before.children_user - before.children_system, model)


def main() -> None:
    """Print both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=10)
    parser.add_argument("--singles", type=int, default=10)
    parser.add_argument("--limit", type=int, default=8, help="items a task")
    chosen, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folders = make_checkpoints(place / "ckpts", chosen.checkpoints)
        run(str(folders[0]), place / "warm-up", chosen.limit)
        together = run(f"{place}/ckpts/step_*", place / "together", chosen.limit)
        alone = Spent(0, 0, 0)
        singles = folders[: chosen.singles]
        for folder in singles:
            alone += run(str(folder), place / "alone" / folder.name, chosen.limit)
    alone = alone.times(len(folders) / len(singles))
    print(conditions())
    print(f"{len(singles)} single runs were made")
    print(f"{'':30} {'wall s':>8} {'in model':>9} {'without':>8} {'cpu s':>8}")
    for label, spent in ((f"{len(folders)} single runs", alone), ("one process", together)):
        columns = (
            f"{spent.wall:8.1f} {spent.model:9.1f} {spent.without_model:8.1f} {spent.cpu:8.1f}"
        )
        print(f"{label:30} {columns}")
    print(
        f"{'ratio':30} {alone.wall / together.wall:8.1f} {'':9} "
        f"{alone.without_model / together.without_model:8.1f} {alone.cpu / together.cpu:8.1f}"
    )


if __name__ == "__main__":
    main()
