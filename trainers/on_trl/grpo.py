"""Reinforcement learning on verifiable rewards by GRPO, on TRL.

Rewards of the completions of one prompt are compared with each other: the advantage of a completion
is its reward minus their mean, over their standard deviation. No value model is needed. A completion
that could not be scored has no advantage, and takes no part in its group's mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.data.mixture import making_of
from olmes.trainers.data.tokenized import list_lengths, tokenized_prompts
from olmes.trainers.data.whereabouts import where_is
from olmes.trainers.last_state import run_trainer
from olmes.trainers.on_trl.arguments import adapter, load_model, on_processor, trainer_base
from olmes.trainers.on_trl.precision import saving_in
from olmes.trainers.on_trl.table import trl_config
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.rewards.completions import mark_tokens, reader_of, texts_with_marks
from olmes.trainers.rewards.trial import tried
from olmes.trainers.rewards.verifiers import Row, VerifierRewards, distinct_ngrams
from olmes.trainers.stage import Prepared, callbacks
from olmes.trainers.templates.prompts import fitted_prompts


def train_grpo(prepared: Prepared[RLVRRecipe]) -> Path:
    """Train and return the folder of the last state.

    Raises:
        OlmesError: no prompt fits, or a verifier is unknown.
    """
    rows = fitting(prepared)
    validation = prepared.for_validation
    measured = fitting(validation) if validation else None
    with rewards_of(prepared, chain(rows, measured or ())) as rewards:
        rows = tried(rows, rewards, where=rewards.where, say=prepared.say)
        return run_trainer(build_grpo(prepared, rows, rewards, measured), prepared)


def rewards_of(prepared: Prepared[RLVRRecipe], rows: Iterable[Row]) -> VerifierRewards:
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


def build_grpo(
    prepared: Prepared[RLVRRecipe], rows: Any, rewards: VerifierRewards, validation: Any = None
) -> Any:
    """TRL's trainer for a recipe, ready to train.

    Raises:
        OlmesError: there are fewer prompts than one batch takes.
    """
    recipe = prepared.recipe
    config = trl_config(recipe, prepared.out)
    if recipe.vllm != "off":
        if on_processor(recipe):
            # TRL leaves no choice here: compiling takes minutes on a CPU, and little is won there.
            os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
        # vLLM reads the files that training began from, which may not name the taught end.
        ends = {"stop_token_ids": list(prepared.ends)}
        config.generation_kwargs = {**ends, **(config.generation_kwargs or {})}
    check_prompts(len(rows), config.generation_batch_size // config.num_generations)
    return saving_in(trainer_class(), prepared.precision)(
        best=lambda row: recipe.reward_scale * rewards.known.best(row),
        draws=recipe.most_draws if recipe.dynamic_sampling else 0,
        model=load_model(prepared),
        reward_funcs=reward_function(prepared, rewards),
        args=config,
        train_dataset=rows,
        eval_dataset=validation,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )


def trainer_class() -> Any:
    """TRL's trainer with what is ours.

    Its completions are the same whatever the number of processes, and it tells what its groups are
    like and can draw prompts again.
    """
    from olmes.trainers.on_trl.grpo_sampling import GroupSampling
    from olmes.trainers.on_trl.row_sampling import RowSampling

    return type("GRPOTrainer", (GroupSampling, RowSampling, trainer_base("GRPOTrainer")), {})


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
) -> Callable[..., list[float | None]]:
    """The one reward function TRL is given; it looks at each row's verifiers.

    The reward of a completion is what the verifiers say times `reward_scale`; without an end of
    sequence it is `missing_end_reward`, when the recipe sets that. One that could not be scored has
    none.
    """
    recipe = prepared.recipe
    ends = set(prepared.ends)
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
