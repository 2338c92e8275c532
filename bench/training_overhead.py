"""Our trainers beside plain TRL on the same recipe: time a step, and the most memory held.

`python -m bench.training_overhead` trains a model twice a round, in two processes that run side by
side: through a recipe of ours, and through TRL's trainer with the same arguments and data, written
as its documentation does. `hook` is our SFT with its checkpoints scored by another process beside
it, over the same without a score; only what the training process itself uses is counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.files.lm_eval_model import conditions
from olmes.models.chat.templates import FOLDER
from olmes.trainers.recipes.files import make_recipe
from olmes.trainers.recipes.stages import Stage
from olmes.trainers.stage import Prepared, prepare

STAGES: dict[str, dict[str, Any]] = {
    "sft": {"max_length": 512, "loss_reduction": "mean"},
    "dpo": {"max_length": 512},
    "grpo": {
        "algorithm": "grpo", "generations": 8, "beta": 0.01, "reward_scale": 1.0,
        "max_prompt_length": 512, "max_completion_length": 32,
    },
}  # fmt: skip
"""What differs from the defaults; the data is the bundled small one."""
WARM_UP = 2
"""Steps before the clock runs: the first ones fill caches."""


def recipe_of(kind: str, model: str, steps: int, scored: bool) -> Any:
    """The recipe of a stage: 8 sequences a step."""
    stage: Stage = "rlvr" if kind == "grpo" else "dpo" if kind == "dpo" else "sft"
    table = {
        "model": model, "template": "smollm2", "hardware": {"device": "cpu"},
        "data": {f"small-{stage}": {"fraction": 1.0}},
        "optimization": {"batch_size": 8, "micro_batch_size": 8, "max_steps": steps, "epochs": 9.0},
        "checkpoints": {"every": max(1, steps // 3)},
        **STAGES[kind],
    }  # fmt: skip
    if scored:
        table["scoring"] = {
            "tasks": ["gsm8k"], "limit": 4, "options": {"wait_at_end": False, "device": "cpu"},
            "settings": {"gsm8k.max_tokens": 16, "gsm8k.shots": 1},
        }  # fmt: skip
    return make_recipe(stage, table, f"{kind}.toml")


def ours(kind: str, prepared: Prepared[Any]) -> Any:
    """Our trainer, as `olmes train` makes it."""
    from olmes.trainers.on_trl import dpo, sft

    return sft.build_sft(prepared) if kind == "sft" else dpo.build_dpo(prepared)


def plain(kind: str, prepared: Prepared[Any]) -> Any:
    """TRL's trainer with the same arguments, on the same rows."""
    from transformers import AutoModelForCausalLM

    from olmes.trainers.on_trl.arguments import arguments, trl

    recipe: Any = prepared.recipe
    told = arguments(prepared.recipe, prepared.out)
    common = {
        "model": AutoModelForCausalLM.from_pretrained(prepared.model, dtype="float32"),
        "train_dataset": prepared.mixture.rows,
        "processing_class": prepared.tokenizer,
    }
    if kind == "sft":
        # TRL marks the assistant's tokens by the template that training is given.
        prepared.tokenizer.chat_template = prepared.template.training
        config = trl().SFTConfig(**told, max_length=recipe.max_length, assistant_only_loss=True)
        return trl().SFTTrainer(args=config, **common)
    if kind == "dpo":
        config = trl().DPOConfig(
            **told, loss_type=["sigmoid_norm"], beta=recipe.beta, max_length=recipe.max_length,
            precompute_ref_log_probs=True,
        )  # fmt: skip
        return trl().DPOTrainer(args=config, **common)
    config = trl().GRPOConfig(
        **told, beta=recipe.beta, num_generations=recipe.generations, epsilon=recipe.clip,
        max_completion_length=recipe.max_completion_length, temperature=recipe.temperature,
    )  # fmt: skip
    return trl().GRPOTrainer(args=config, reward_funcs=scored_here, **common)


def scored_here(completions: list[Any], verifiers: list[str], **_: Any) -> list[float]:
    """A reward function as TRL's users write it: the scorer called in the training process."""
    from olmes.benchmark.registry import load_task
    from olmes.types import Response

    found = []
    for turns, held in zip(completions, verifiers, strict=True):
        [verifier] = json.loads(held)
        task = load_task(verifier["task"])
        response = Response(text=turns[-1]["content"], finish="stop")
        value = getattr(task, "score")(verifier["doc"], response).values[task.primary]  # noqa: B009
        found.append(float(value))
    return found


def clock() -> Any:
    """A callback that notes time and processor time at the end of each step."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes both clocks."""

        def __init__(self) -> None:
            self.ticks: list[tuple[float, float]] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            """Note the time."""
            self.ticks.append((time.perf_counter(), time.process_time()))

    return Clock()


def measure(kind: str, who: str, model: str, steps: int) -> dict[str, float]:
    """Train in this process; seconds a step and the most memory this process held."""
    import torch
    from transformers import PrinterCallback

    from olmes.trainers.on_trl.grpo import build_grpo, fitting
    from olmes.trainers.rewards.verifiers import VerifierRewards
    from olmes.trainers.train import quiet_libraries

    torch.set_num_threads(1)
    base = "sft" if kind == "hook" else kind
    scored = kind == "hook" and who == "olmes"
    watch, hook_seconds = clock(), 0.0
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        recipe = recipe_of(base, model, steps, scored)
        prepared = prepare(recipe, Path(folder) / "out", say=lambda _: None)

        def train(trainer: Any) -> Any:
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(watch)
            trainer.train()
            return trainer

        if who == "trl" and kind != "hook":
            train(plain(base, prepared))
        elif base == "grpo":
            rows = fitting(prepared)
            with VerifierRewards(
                rows, metrics=prepared.recipe.reward_metrics, say=prepared.say
            ) as rewards:
                train(build_grpo(prepared, rows, rewards))
        else:
            trained = train(ours(base, prepared))
            seconds = [getattr(c, "seconds", 0.0) for c in trained.callback_handler.callbacks]
            hook_seconds = sum(seconds)
        if scored:
            wait_for_scores(recipe, Path(folder))
    steps_taken = list(pairwise(watch.ticks[WARM_UP - 1 :]))
    # What a hook costs falls on few steps; elsewhere the median keeps other work of the machine out.
    middle = statistics.mean if kind == "hook" else statistics.median
    wall, cpu = (middle(after[at] - before[at] for before, after in steps_taken) for at in (0, 1))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "rss": memory, "hook": hook_seconds}


def wait_for_scores(recipe: Any, folder: Path) -> None:
    """Let the scoring process end before its folder goes.

    Raises:
        RuntimeError: a checkpoint has no score, so what was measured is no scoring.
    """
    from olmes.trainers.checkpoints.queue import Queue
    from olmes.trainers.checkpoints.request import training_folder

    queue = Queue(training_folder(folder / "out/scores", folder / "out"))
    deadline = time.monotonic() + 300
    while queue.waiting() and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(2)
    jobs = queue.jobs()
    if not jobs or any(job.state != "done" for job in jobs):
        raise RuntimeError(f"{recipe.name}: not every checkpoint was scored")


def side_by_side(kind: str, model: str, steps: int) -> dict[str, dict[str, float]]:
    """Both in processes of their own that run at once, so that the machine is the same to both.

    Raises:
        RuntimeError: one of them failed.
    """
    command = [sys.executable, "-m", "bench.training_overhead", "--kinds", kind]
    command += ["--model", model, "--steps", str(steps), "--who"]
    started = {
        who: subprocess.Popen(
            [*command, who], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for who in ("olmes", "trl")
    }
    found: dict[str, dict[str, float]] = {}
    for who, process in started.items():
        printed, trouble = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{who}: {trouble[-2000:]}")
        found[who] = json.loads(printed.splitlines()[-1])
    return found


def small_model(folder: Path) -> Path:
    """A random Llama of 0.9 million weights that reads bytes, with SmolLM2's marks of turns."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate([*marks, *letters])}
    reader = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    reader.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reader.decoder = decoders.ByteLevel()
    reader.add_special_tokens(marks)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=reader, eos_token=marks[2], pad_token=marks[2], bos_token=marks[1]
    )
    tokenizer.chat_template = (FOLDER / "smollm2.jinja").read_text("utf-8")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=4,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=1024,
        eos_token_id=2, bos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def row(kind: str, rounds: Sequence[dict[str, dict[str, float]]]) -> str:
    """One line of the table: ratios of the medians, and of each round for their spread."""
    cells = [f"{kind:5}"]
    for name, form in (("cpu", ".3f"), ("wall", ".3f"), ("rss", ".0f")):
        mine, theirs = (
            statistics.median(one[who][name] for one in rounds) for who in ("olmes", "trl")
        )
        each = " ".join(f"{one['olmes'][name] / one['trl'][name]:.3f}" for one in rounds)
        cells.append(f"{mine:{form}} / {theirs:{form}} = {mine / theirs:.3f} ({each})")
    return " | ".join(cells)


def main() -> None:
    """Print the ratios of every kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default="sft,dpo,grpo,hook")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=22)
    parser.add_argument("--model", default="", help="a folder or smollm2; empty for a small one")
    parser.add_argument("--who", choices=["olmes", "trl"], help=argparse.SUPPRESS)
    chosen = parser.parse_args(None if len(sys.argv) > 1 else [])
    if chosen.who:
        print(json.dumps(measure(chosen.kinds, chosen.who, chosen.model, chosen.steps)))
        return
    print(f"{chosen.steps - WARM_UP} steps of 8 sequences a round; {conditions()}")
    print("kind  | cpu s a step, olmes / TRL | wall s a step | peak MB of the process")
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or str(small_model(Path(folder) / "model"))
        for kind in chosen.kinds.split(","):
            rounds = [side_by_side(kind, model, chosen.steps) for _ in range(chosen.rounds)]
            print(row(kind, rounds), flush=True)
            if kind == "hook":
                spent = ", ".join(f"{one['olmes']['hook']:.2f}" for one in rounds)
                print(f"      | seconds in the hook itself: {spent}")


if __name__ == "__main__":
    main()
