"""Reinforcement learning on verifiable rewards by GRPO, on TRL.

Rewards of the completions of one prompt are compared with each other: the advantage of a completion
is its reward minus their mean, over their standard deviation. No value model is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.data.mixture import making_of
from olmes.trainers.data.tokenized import list_lengths, tokenized_prompts
from olmes.trainers.last_state import run_trainer
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.rewards.completions import mark_tokens, reader_of, texts_with_marks
from olmes.trainers.rewards.verifiers import VerifierRewards, distinct_ngrams
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.prompts import fitted_prompts
from olmes.trainers.trl_arguments import adapter, arguments, load_model, trl


def train_grpo(prepared: Prepared[RLVRRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: no prompt fits, or a verifier is unknown.
    """
    rows = fitting(prepared)
    with VerifierRewards(
        rows,
        metrics=prepared.recipe.reward_metrics,
        reader=reader_of(prepared.tokenizer),
        say=prepared.say,
    ) as rewards:
        return run_trainer(build_grpo(prepared, rows, rewards), prepared)


def build_grpo(prepared: Prepared[RLVRRecipe], rows: Any, rewards: VerifierRewards) -> Any:
    """TRL's trainer for a recipe, ready to train."""
    recipe = prepared.recipe
    config = trl().GRPOConfig(
        **arguments(prepared),
        beta=recipe.beta,
        num_generations=recipe.generations,
        max_completion_length=recipe.max_completion_length,
        temperature=recipe.temperature,
        num_iterations=recipe.updates_per_batch,
        epsilon=recipe.clip,
        use_vllm=recipe.vllm != "off",
        vllm_mode=recipe.vllm if recipe.vllm != "off" else "colocate",
        # vLLM reads the files that training began from, which may not name the taught end.
        generation_kwargs=(
            {"stop_token_ids": list(prepared.ends)} if recipe.vllm != "off" else None
        ),
    )
    return trl().GRPOTrainer(
        model=load_model(prepared),
        reward_funcs=reward_function(prepared, rewards),
        args=config,
        train_dataset=rows,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def fitting(prepared: Prepared[RLVRRecipe]) -> Any:
    """The rows whose prompt is short enough; TRL would take any.

    Raises:
        OlmesError: none is.
    """
    limit = prepared.recipe.max_prompt_length
    rows = fitted_prompts(prepared.mixture.rows, prepared.tokenizer, prepared.template.plain)
    making = making_of(prepared.recipe, prepared.say)
    lengths = list_lengths(tokenized_prompts(rows, prepared.tokenizer, making), "input_ids")
    if not (lengths <= limit).any():
        raise OlmesError(f"every prompt is longer than max_prompt_length ({limit}); raise it.")
    kept = rows.select((lengths <= limit).nonzero()[0])
    if len(kept) < len(rows):
        prepared.say(
            f"{len(rows) - len(kept)} of {len(rows)} prompts left out: over {limit} tokens"
        )
    return kept


def reward_function(
    prepared: Prepared[RLVRRecipe], rewards: VerifierRewards
) -> Callable[..., list[float]]:
    """The one reward function TRL is given; it looks at each row's verifiers.

    The reward of a completion is what the verifiers say times `reward_scale`; without an end of
    sequence it is `missing_end_reward`, when the recipe sets that.
    """
    recipe = prepared.recipe
    ends = set(prepared.ends)
    marks = mark_tokens(prepared.tokenizer, rewards.reader)

    def verified(
        prompts: list[Any],  # noqa: ARG001 (TRL gives it by name)
        completions: list[Any],
        completion_ids: list[list[int]],
        verifiers: list[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        texts = [text_of(completion) for completion in completions]
        if marks:  # which TRL's texts lack
            texts = texts_with_marks(prepared.tokenizer, completion_ids, marks)
        ended = [bool(ids) and ids[-1] in ends for ids in completion_ids]
        found = rewards.score([{"verifiers": held} for held in verifiers], texts, ended)
        for task, value in found.by_task.items():
            log_metric(f"verifier/{task}", value)
        log_metric("verifier/timeouts", found.timeouts)
        log_metric("verifier/crashes", found.crashes)
        if rewards.reader.known:
            log_metric("completions/unfinished_thinking", found.unfinished / len(texts))
        log_metric("completions/ended", sum(ended) / len(ended))
        log_metric("completions/distinct_3", distinct_ngrams(texts))
        scaled = [reward * recipe.reward_scale for reward in found.rewards]
        if recipe.missing_end_reward is None:
            return scaled
        endless = recipe.missing_end_reward
        return [reward if end else endless for reward, end in zip(scaled, ended, strict=True)]

    return verified


def text_of(completion: Any) -> str:
    """The text of a completion, which TRL gives as turns where the prompt was turns."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
