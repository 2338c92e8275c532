"""Asynchronous PPO beside synchronous: seconds for the same updates on the same prompts.

`python -m bench.async_ppo` trains a toy policy. The generator sleeps after each batch as long as the
learner needs for one: it stands for a GPU, which would use no time of the processor either. Learning
alone and generating alone then take equally long, so that the best possible ratio is 2.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from olmes.trainers.ppo import PPOConfig, train_ppo
from olmes.trainers.ppo.rollout import Order, Rollout, TransformersGenerator

DIGITS = "0123456789+="


class SleepingGenerator(TransformersGenerator):
    """Samples a batch, then waits."""

    seconds = 0.0

    def generate(self, order: Order) -> list[Rollout]:
        """Rollouts for an order, no sooner than `seconds` from now."""
        begun = time.perf_counter()
        rollouts: list[Rollout] = super().generate(order)
        time.sleep(max(0.0, self.seconds - (time.perf_counter() - begun)))
        return rollouts


def sleeping(model: Any, prompts: Any, sampling: Any, version: int, *, seconds: float) -> Any:
    """A `SleepingGenerator` that takes `seconds` a batch."""
    generator = SleepingGenerator(model, prompts, sampling, version)
    generator.seconds = seconds
    return generator


def toy() -> tuple[Any, Any]:
    """A random policy and a tokenizer of digits."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate(["<pad>", "<end>", *DIGITS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=96, intermediate_size=192, num_hidden_layers=2,
        num_attention_heads=2, eos_token_id=1, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config), fast


def share_of_sevens(_: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[float]:
    """A reward that needs no thought."""
    return [text.count("7") / max(1, len(text.replace(" ", ""))) for text in texts]


def run(config: PPOConfig, seconds: float, *, asynchronous: bool) -> dict[str, float]:
    """Train once; seconds of all but the first update, and of the whole call."""
    import torch

    torch.manual_seed(0)
    policy, tokenizer = toy()
    rows = [{"prompt": f"{a}+{b}="} for a in range(10, 40) for b in range(10, 40)]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        clock = Clock()
        trained = train_ppo(
            config, policy=policy, tokenizer=tokenizer, rows=rows, reward=share_of_sevens,
            output_dir=folder, callbacks=[clock], asynchronous=asynchronous,
            make_generator=partial(sleeping, seconds=seconds),
        )  # fmt: skip
        whole = time.perf_counter() - begun
    history = trained.history
    return {
        "whole": whole,
        "steady": clock.times[-1] - clock.times[0],
        "learning": statistics.median(entry["seconds_learning"] for entry in history[1:]),
        "tokens": sum(entry["response_tokens"] for entry in history) * config.batch_size,
        "staleness": max(entry["staleness_max"] for entry in history),
        "verified": statistics.mean(entry["verified"] for entry in history[-5:]),
    }


class Clock:
    """A callback that notes when each update ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_, **__: None
        raise AttributeError(name)


def measure(updates: int, batch_size: int = 64) -> dict[str, dict[str, float]]:
    """Both ways, after a few updates that measure how long learning takes."""
    config = PPOConfig(
        updates=updates, batch_size=batch_size, generation_batch_size=batch_size,
        micro_batch_size=batch_size, max_completion_length=12, missing_end_reward=None,
        learning_rate=3e-4, save_every=updates,
    )  # fmt: skip
    alone = run(replace(config, updates=5), 0.0, asynchronous=False)
    seconds = alone["learning"]
    return {
        "synchronous": run(config, seconds, asynchronous=False),
        "asynchronous": run(config, seconds, asynchronous=True),
    }


def main() -> None:
    """Print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=128)
    arguments = parser.parse_args()
    results = measure(arguments.updates, arguments.batch_size)
    print(f"{arguments.updates} updates of {arguments.batch_size} rollouts:")
    for name, result in results.items():
        print(
            f"  {name:13} {result['whole']:7.2f} s in all, {result['steady']:7.2f} s after the "
            f"first update; {result['tokens']:.0f} tokens, staleness at most "
            f"{result['staleness']:.0f}, verified at the end {result['verified']:.3f}"
        )
    for what, said in (
        ("steady", "after the first update"),
        ("whole", "in all, start-up included"),
    ):
        ratio = results["synchronous"][what] / results["asynchronous"][what]
        print(f"  synchronous / asynchronous, {said}: {ratio:.2f}")


if __name__ == "__main__":
    main()
