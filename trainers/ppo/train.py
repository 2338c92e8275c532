"""The run: rollouts, verdicts, an update, again; with checkpoints and callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.vllm_start import check_installed
from olmes.trainers.ppo import checkpoint
from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.ppo.learner import Learner
from olmes.trainers.ppo.models import frozen_reference, load_policy, value_model
from olmes.trainers.ppo.reporting import Reporter, training_arguments
from olmes.trainers.ppo.rollout import Prompts, Rollout, Sampling, TransformersGenerator
from olmes.trainers.ppo.sources import PromptSource, asynchronous_source, synchronous_source
from olmes.trainers.ppo.worker import MakeGenerator
from olmes.trainers.rewards.completions import mark_tokens, reader_of, texts_with_marks
from olmes.trainers.together.processes import told

Row = Mapping[str, Any]
Reward = Callable[[Sequence[Row], Sequence[str]], Sequence[float | None]]
"""Rows and the texts of their responses in, the verifier's value for each out: 0..1, more where a
row's weights sum to more; None where it could not be scored, so that nothing is learned of it. Each
row also holds `ended`: whether the response came to its end. What a reward has as `numbers` after a
call, a name to a number, is logged."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run leaves."""

    checkpoint: Path
    """The last checkpoint."""
    history: list[dict[str, float]]
    """One entry an update; `step` counts them from 1."""


def train_ppo(
    config: PPOConfig,
    *,
    policy: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    reward: Reward,
    output_dir: str | Path,
    callbacks: Sequence[Any] = (),
    value: Any = None,
    reference: Any = None,
    asynchronous: bool = False,
    make_generator: MakeGenerator = TransformersGenerator,
) -> Trained:
    """Train a policy by PPO on verifiable rewards; called again, it resumes where it was killed.

    Args:
        config: the settings.
        policy: the model to train: folder, hub id or model. A model is trained in place.
        tokenizer: its tokenizer.
        rows: one mapping a prompt, with `prompt` (chat messages or text) and whatever `reward` reads.
        reward: the verifier (`Reward`). It is called with the rows and the response texts of one
            batch, special tokens left out, and must not run what a model wrote in this process.
        output_dir: where checkpoint-N folders go. From complete ones of the same settings the
            run resumes; those of others are refused.
        callbacks: transformers `TrainerCallback`s: on_train_begin, on_step_begin, on_step_end,
            on_log, on_save and on_train_end are called.
        value: a reward model to make the value model of; None: the policy's backbone.
        reference: the model the KL is from; None: the policy as it was at the start of the run.
        asynchronous: whether other processes generate while this one learns. A script that sets
            it must have the usual `if __name__ == "__main__":`, because those processes import it.
        make_generator: what samples; asynchronous, it is pickled to the generators.

    Raises:
        OlmesError: the settings, the folder or the rows do not fit; the message says what to do.
    """
    from accelerate import Accelerator

    if config.engine == "vllm":
        check_installed('generate with transformers (vllm = "off")')
    output = Path(output_dir)
    output.mkdir(parents=True, exist_ok=True)
    arguments = training_arguments(config, output)
    accelerator = Accelerator(mixed_precision=precision(config), cpu=config.device == "cpu")
    check_launcher(accelerator)
    prompts = Prompts(rows, tokenizer, config.max_prompt_length, config.seed)
    start = load_policy(policy)
    anchor = frozen_reference(start, reference)
    sampling = Sampling.of(start, tokenizer, config.temperature, config.max_completion_length)
    critic = value_model(start, value, config.seed)
    resumed = told(
        "which checkpoint is resumed from", lambda: checkpoint.begin(output, config, prompts.hash)
    )
    if resumed:
        start.load_state_dict(load_policy(checkpoint.whole_policy(resumed)).state_dict())
    learner = Learner(config, start, anchor, critic, sampling.pad_id, accelerator)
    history = checkpoint.restore(resumed, learner) if resumed else []
    reporter = Reporter(
        config, arguments, history, callbacks, learner, tokenizer, len(prompts.kept)
    )
    if prompts.left_out:
        reporter.say(f"{prompts.left_out} of {len(rows)} prompts are longer than "
                     f"{config.max_prompt_length} tokens and left out.")  # fmt: skip
    kind = asynchronous_source if asynchronous else synchronous_source
    source = kind(config, learner, prompts, sampling, len(history), make_generator)
    try:
        run(config, learner, source, reporter, Rewarder(rows, reward, tokenizer), prompts.hash)
    finally:
        source.close()
    return Trained(reporter.last_checkpoint, reporter.state.log_history)


def check_launcher(accelerator: Any) -> None:
    """Refuse to run under a launcher that would cut the models in its own way.

    Raises:
        OlmesError: it does.
    """
    kind = accelerator.distributed_type.value
    if kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP"):
        raise OlmesError(
            f"PPO cuts weights by itself and not under {kind} of a launcher; start it through "
            'olmes train with hardware.strategy = "fsdp", or launch plain processes and shard=True.'
        )


def run(
    config: PPOConfig, learner: Learner, source: PromptSource, reporter: Reporter, verify: Rewarder,
    data: str,
) -> None:  # fmt: skip
    """Updates until there are enough or a callback says stop."""
    reporter.begin()
    for update in range(reporter.state.global_step, config.updates):
        reporter.step_begin()
        clock = [time.perf_counter()]
        rollouts = source.batch(update)
        clock.append(time.perf_counter())
        verified = verify(rollouts, learner.accelerator)
        clock.append(time.perf_counter())
        numbers = learner.update(update, rollouts, verified)
        source.publish(update + 1)
        clock.append(time.perf_counter())
        names = ("seconds_waiting", "seconds_verifying", "seconds_learning")
        spent = dict(zip(names, (b - a for a, b in pairwise(clock)), strict=True))
        reporter.step_end(numbers | verify.numbers | spent | source.counters())
        last = update + 1 == config.updates or reporter.stopping
        if last or reporter.asked_to_save or (update + 1) % config.save_every == 0:
            reporter.save(data)
        if last or reporter.stopping:
            break
    reporter.end()


class Rewarder:
    """Decodes responses and calls the reward with them, once a batch."""

    def __init__(self, rows: Sequence[Row], reward: Reward, tokenizer: Any) -> None:
        self.rows = rows
        self.reward = reward
        self.tokenizer = tokenizer
        self.marks = mark_tokens(tokenizer, reader_of(tokenizer))

    @property
    def numbers(self) -> dict[str, float]:
        """What else the reward reports of its last batch."""
        return dict(getattr(self.reward, "numbers", {}))

    def __call__(self, rollouts: Sequence[Rollout], accelerator: Any) -> list[float | None]:
        """The verifier's value for each rollout; one process computes it and shares it with the others.

        Raises:
            ValueError: the reward gave another number of values than it got texts, or one that is
                not finite: it would be a fault of the reward, and no update should be made of it.
        """
        from accelerate.utils import broadcast_object_list

        shared: list[Any] = [None]
        if accelerator.is_main_process:
            responses = [list(r.response) for r in rollouts]
            texts = texts_with_marks(self.tokenizer, responses, self.marks)
            rows = [{**self.rows[r.row], "ended": r.ended} for r in rollouts]
            shared = [[x if x is None else float(x) for x in self.reward(rows, texts)]]
        if accelerator.num_processes > 1:
            broadcast_object_list(shared)
        values: list[float | None] = shared[0]
        known = [value for value in values if value is not None]
        if len(values) != len(rollouts) or not all(map(math.isfinite, known)):
            raise ValueError(
                f"the reward gave {len(values)} values for {len(rollouts)} responses, or one "
                "that is not finite"
            )
        return values


def precision(config: PPOConfig) -> str:
    """Accelerate's name of the precision of the forward passes."""
    import torch

    if config.mixed_precision != "auto":
        return str(config.mixed_precision)
    if config.device == "cpu":
        return "no"
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
