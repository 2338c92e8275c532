"""Reinforcement learning on verifiable rewards by GRPO, on TRL.

Rewards of the completions of one prompt are compared with each other: the advantage of a completion
is its reward minus their mean, over their standard deviation. No value model is needed. A completion
that could not be scored has no advantage, and takes no part in its group's mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.vllm_start import check_installed
from olmes.trainers.data.training_rows import RLVRRow
from olmes.trainers.data.whereabouts import where_is
from olmes.trainers.last_state import run_trainer
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.rewards.completions import mark_tokens, reader_of, texts_with_marks
from olmes.trainers.rewards.trial import tried
from olmes.trainers.rewards.verifiers import VerifierRewards, distinct_ngrams
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.trl_arguments import adapter, arguments, load_model, on_processor, trl


def train_grpo(prepared: Prepared[RLVRRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: no prompt fits, or a verifier is unknown.
    """
    rows = fitting(prepared)
    with rewards_of(prepared, rows) as rewards:
        rows = tried(rows, rewards, where=rewards.where, say=prepared.say)
        return run_trainer(build_grpo(prepared, rows, rewards), prepared)


def rewards_of(prepared: Prepared[RLVRRecipe], rows: Any) -> VerifierRewards:
    """What scores the responses of a recipe.

    Raises:
        OlmesError: a row names a verifier that there is not.
    """
    recipe = prepared.recipe
    return VerifierRewards(
        rows,
        metrics=recipe.reward_metrics,
        functions=recipe.reward_functions,
        judge=recipe.judge,
        reader=reader_of(prepared.tokenizer),
        where=partial(where_is, recipe),
        say=prepared.say,
    )


def build_grpo(prepared: Prepared[RLVRRecipe], rows: Any, rewards: VerifierRewards) -> Any:
    """TRL's trainer for a recipe, ready to train.

    Raises:
        OlmesError: there are fewer prompts than one batch takes.
    """
    recipe = prepared.recipe
    if recipe.vllm != "off":
        check_installed('generate with transformers (vllm = "off")')
        if on_processor(recipe):
            # TRL leaves no choice here: compiling takes minutes on a CPU, and little is won there.
            os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
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
    )
    check_prompts(len(rows), config.generation_batch_size // config.num_generations)
    return trainer_class()(
        best=lambda row: recipe.reward_scale * rewards.known.best(row),
        draws=recipe.most_draws if recipe.dynamic_sampling else 0,
        model=load_model(prepared),
        reward_funcs=reward_function(prepared, rewards),
        args=config,
        train_dataset=rows,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def trainer_class() -> Any:
    """TRL's trainer, which also tells what its groups are like and can draw prompts again."""
    from olmes.trainers.grpo_sampling import GroupSampling

    return type("GRPOTrainer", (GroupSampling, trl().GRPOTrainer), {})


def check_prompts(there: int, wanted: int) -> None:
    """Refuse fewer prompts than a batch takes, of which nothing would be trained.

    TRL leaves out a batch that is not full.

    Raises:
        OlmesError: there are fewer.
    """
    if there < wanted:
        raise OlmesError(
            f"the prompts are {there}, and a batch takes {wanted} (optimization.batch_size / "
            "generations); give more rows (a larger 'count' in [data] repeats them), or a smaller "
            "batch_size."
        )


def fitting(prepared: Prepared[RLVRRecipe]) -> Any:
    """The rows whose prompt is short enough; TRL would take any.

    Raises:
        OlmesError: none is.
    """
    limit, rows, tokenizer = (
        prepared.recipe.max_prompt_length,
        prepared.mixture.rows,
        prepared.tokenizer,
    )

    def fits(row: RLVRRow) -> bool:
        text = tokenizer.apply_chat_template(
            row["prompt"], add_generation_prompt=True, tokenize=False
        )
        return bool(len(tokenizer(text, add_special_tokens=False).input_ids) <= limit)

    kept = rows.filter(fits)
    if not len(kept):
        raise OlmesError(f"every prompt is longer than max_prompt_length ({limit}); raise it.")
    if len(kept) < len(rows):
        prepared.say(
            f"{len(rows) - len(kept)} of {len(rows)} prompts left out: over {limit} tokens"
        )
    return kept


def reward_function(
    prepared: Prepared[RLVRRecipe], rewards: VerifierRewards
) -> Callable[..., list[float | None]]:
    """The one reward function TRL is given; it looks at each row's verifiers.

    The reward of a completion is what the verifiers say times `reward_scale`; without an end of
    sequence it is `missing_end_reward`, when the recipe sets that. One that could not be scored has
    none.
    """
    recipe = prepared.recipe
    ends = end_tokens(prepared)
    marks = mark_tokens(prepared.tokenizer, rewards.reader)

    def verified(
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        verifiers: list[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        texts = [text_of(completion) for completion in completions]
        if marks:  # which TRL's texts lack
            texts = texts_with_marks(prepared.tokenizer, completion_ids, marks)
        ended = [bool(ids) and ids[-1] in ends for ids in completion_ids]
        rows = [
            {"prompt": prompt, "verifiers": held}
            for prompt, held in zip(prompts, verifiers, strict=True)
        ]
        found = rewards.score(rows, texts, ended)
        for task, value in found.by_task.items():
            log_metric(f"verifier/{task}", value)
        log_metric("verifier/timeouts", found.timeouts)
        log_metric("verifier/crashes", found.crashes)
        if rewards.reader.known:
            log_metric("completions/unfinished_thinking", found.unfinished / len(texts))
        log_metric("completions/ended", sum(ended) / len(ended))
        log_metric("completions/distinct_3", distinct_ngrams(texts))
        endless = recipe.missing_end_reward
        return [
            None if reward is None else recipe.reward_scale * reward
            if end or endless is None else endless
            for reward, end in zip(found.rewards, ended, strict=True)
        ]  # fmt: skip

    return verified


def text_of(completion: Any) -> str:
    """The text of a completion, which TRL gives as turns where the prompt was turns."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def end_tokens(prepared: Prepared[RLVRRecipe]) -> set[int]:
    """The tokens that end a sequence: the tokenizer's, and those of the model's generation."""
    from transformers import GenerationConfig

    found = {prepared.tokenizer.eos_token_id}
    if (prepared.model / "generation_config.json").is_file():
        more = GenerationConfig.from_pretrained(prepared.model).eos_token_id
        found |= set(more if isinstance(more, list) else [more] if more is not None else [])
    return found
