"""A reward model on TRL: one number for an answer, higher for the preferred one of a pair.

    loss = -log sigmoid(r(x, chosen) - r(x, rejected))

as Tülu 3's was made (arXiv:2411.15124, Table 36), which PPO's value model begins as. r is read at the
last token that is no padding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.last_state import run_trainer
from olmes.trainers.on_trl.arguments import adapter, loading_options, trainer_base
from olmes.trainers.on_trl.precision import saving_in
from olmes.trainers.on_trl.table import trl_config
from olmes.trainers.recipes.stages import RewardRecipe
from olmes.trainers.stage import Prepared, callbacks


def train_reward(prepared: Prepared[RewardRecipe]) -> Path:
    """Train and return the folder of the last state, a sequence classifier with one label.

    Raises:
        OlmesError: the model's architecture has no such classifier, or no pair fits `max_length`.
    """
    return run_trainer(build_reward(prepared), prepared, load_reward_model)


def build_reward(prepared: Prepared[RewardRecipe]) -> Any:
    """TRL's trainer for a recipe, ready to train.

    Raises:
        OlmesError: as `train_reward`.
    """
    recipe, rows = prepared.recipe, prepared.mixture.rows
    config = trl_config(recipe, prepared.out)
    trainer = saving_in(trainer_base("RewardTrainer"), prepared.precision)(
        model=load_reward_model(prepared),
        args=config,
        train_dataset=rows,
        eval_dataset=prepared.validation.rows if prepared.validation else None,
        processing_class=prepared.tokenizer,
        peft_config=adapter(recipe),
        callbacks=callbacks(prepared),
    )
    kept = len(trainer.train_dataset)
    if not kept:
        raise OlmesError(f"every pair is longer than max_length ({recipe.max_length}); raise it.")
    if kept < len(rows):
        prepared.say(
            f"{len(rows) - kept} of {len(rows)} pairs left out: over {recipe.max_length} tokens"
        )
    return trainer


def load_reward_model(prepared: Prepared[RewardRecipe]) -> Any:
    """The starting model as a sequence classifier with one label, in float32, on the processor.

    A language model's output layer is left out, and a head is drawn from N(0, 1/sqrt(d + 1)), d being
    the hidden size (Table 36); a reward model keeps its head.

    Raises:
        OlmesError: transformers has no such classifier of the architecture, the model has a head for
            several labels, or its weights are incomplete.
    """
    import torch
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSIFIERS
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from olmes.models.checkpoint.folder import loading
    from olmes.trainers.ppo.models import draw_head, head_of

    name, folder = prepared.recipe.model, prepared.model
    with loading("weights", name):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if type(config) not in CLASSIFIERS:
        raise OlmesError(
            f"transformers has no sequence classifier of '{name}' (a {config.model_type}), which a "
            "reward model is; start from another model."
        )
    with loading("weights", name):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=1,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, in a sentence
            **loading_options(prepared.recipe),
        )
    head, heads = head_of(model), head_names(model)
    wrong = {str(key[0]) for key in report["mismatched_keys"]}
    if wrong & heads:
        raise OlmesError(
            f"'{name}' is a classifier for several labels, whose head gives no reward; start from a "
            "language model, or from a reward model with one label."
        )
    missing = sorted(({*report["missing_keys"]} - heads) | wrong)
    if missing:
        raise OlmesError(
            f"the weights of '{name}' lack {len(missing)} tensors ({missing[0]} is the first); save "
            "the whole model again."
        )
    if heads & set(report["missing_keys"]):
        draw_head(head, prepared.recipe.seed)
    return model


def head_names(model: Any) -> set[str]:
    """The names of the tensors of a sequence classifier's head."""
    return {name for name, _ in model.named_parameters()} - {
        f"{model.base_model_prefix}.{name}" for name, _ in model.base_model.named_parameters()
    }
