"""The `[trl]` table: what reaches TRL, and what is refused in a sentence before anything is loaded."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.on_trl import table as trl_table
from olmes.trainers.on_trl.arguments import arguments
from olmes.trainers.on_trl.grpo import build_grpo
from olmes.trainers.on_trl.table import check_table, config_class, settings, trl_config
from olmes.trainers.recipes.files import read_recipe
from olmes.trainers.recipes.stages import DPOLoss, Stage
from olmes.trainers.rewards.verifiers import VerifierRewards
from olmes.trainers.train import train

MODERN: dict[str, Any] = {
    "importance_sampling_level": "sequence",  # GSPO
    "loss_type": "dr_grpo",
    "epsilon_high": 0.28,  # clip-higher
    "scale_rewards": "none",
    "mask_truncated_completions": True,
    "top_p": 0.9,
    "top_k": 20,
    "vllm_gpu_memory_utilization": 0.5,
    "vllm_server_host": "10.0.0.1",
}


def test_what_the_table_says_is_in_trls_configuration(workshop: Any) -> None:
    config = trl_config(workshop.recipe("rlvr", trl=MODERN), workshop.folder)
    assert {name: getattr(config, name) for name in MODERN} == MODERN
    sft = workshop.recipe("sft", trl={"neftune_noise_alpha": 5, "optim": "adafactor"})
    config = trl_config(sft, workshop.folder)
    assert (config.neftune_noise_alpha, config.optim) == (5.0, "adafactor")
    dpo = workshop.recipe("dpo", loss="exo_pair", trl={"label_smoothing": 0.1})
    config = trl_config(dpo, workshop.folder)
    assert (config.label_smoothing, config.loss_type) == (0.1, ["exo_pair"])
    reward = {"data": {"dpo.jsonl": {"fraction": 1.0}}, "trl": {"center_rewards_coefficient": 0.01}}
    config = trl_config(workshop.recipe("reward", **reward), workshop.folder)
    assert config.center_rewards_coefficient == 0.01
    nothing = trl_config(workshop.recipe("rlvr", trl={"epsilon_high": "none"}), workshop.folder)
    assert nothing.epsilon_high is None


def test_it_changes_what_is_learned(workshop: Any) -> None:
    """Dr. GRPO with a higher upper bound, by hand on made-up completions."""
    import torch

    table = {"loss_type": "dr_grpo", "epsilon_high": 0.5}
    prepared = workshop.prepared("rlvr", trl=table, beta=0.0)
    with VerifierRewards(prepared.mixture.rows) as rewards:
        trainer = build_grpo(prepared, prepared.mixture.rows, rewards)
    torch.manual_seed(0)
    prompts, completions = torch.randint(5, 100, (4, 5)), torch.randint(5, 100, (4, 6))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 6, [1] * 2 + [0] * 4])
    advantages = torch.tensor([1.0, -1.0, 0.5, 2.0])
    logits = trainer.model(torch.cat([prompts, completions], 1)).logits[:, 4:-1]
    logps = logits.log_softmax(-1).gather(-1, completions[..., None])[..., 0].detach()
    old = logps + torch.randn_like(logps) * 0.5
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    inputs = {
        "prompt_ids": prompts, "prompt_mask": torch.ones_like(prompts), "completion_ids": completions,
        "completion_mask": mask, "advantages": advantages, "old_per_token_logps": old,
    }  # fmt: skip
    loss = trainer.compute_loss(trainer.model, inputs)
    ratio = (logps - old).exp()
    assert ((ratio > 1.2) & (ratio < 1.5)).any()  # where epsilon_high decides
    gained = torch.min(ratio * advantages[:, None], ratio.clamp(0.8, 1.5) * advantages[:, None])
    expected = -(gained * mask).sum() / (4 * prepared.recipe.max_completion_length)
    torch.testing.assert_close(loss.detach(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("stage", "table", "sentence"),
    [
        ("rlvr", {"los_type": "dapo"}, "GRPOConfig has no 'los_type'; did you mean loss_type"),
        ("sft", {"epsilon_high": 0.2}, "SFTConfig has no 'epsilon_high'"),
        ("rlvr", {"loss_type": "gspo"}, "'trl.loss_type' must be one of grpo, dr_grpo"),
        ("rlvr", {"top_k": 0.5}, "'trl.top_k' is 0.5, and TRL wants int"),
        ("rlvr", {"top_p": "high"}, "'trl.top_p' is 'high', and TRL wants float"),
        ("rlvr", {"mask_truncated_completions": 1}, "and TRL wants bool"),
        ("rlvr", {"lr_scheduler_kwargs": 3}, "'trl.lr_scheduler_kwargs' is 3"),
        ("sft", {"learning_rate": 1e-3}, "'trl.learning_rate' has a key .*: optimization.learning"),
        ("sft", {"output_dir": "x"}, "a key of its own in a recipe: --out"),
        ("rlvr", {"num_generations": 4}, "in a recipe: generations"),
        ("rlvr", {"epsilon": 0.2}, "in a recipe: clip"),
        ("dpo", {"loss_type": ["ipo"]}, "in a recipe: loss;"),
        ("sft", {"assistant_only_loss": True}, "cannot be set: the loss is on what the assistant says"),
        ("sft", {"optim": "adamm"}, "TRL refuses the settings: .*adamm"),
        ("rlvr", {"steps_per_generation": 3, "generation_batch_size": 8}, "TRL refuses the settings"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_loaded(
    workshop: Any, stage: str, table: dict[str, Any], sentence: str
) -> None:
    nothing = str(workshop.folder / "no-such-model")
    recipe = workshop.recipe(stage, trl=table, model=nothing, data={"none.jsonl": {"count": 1}})
    with pytest.raises(OlmesError, match=sentence):
        train(recipe, workshop.folder / "out", say=lambda _: None)
    assert not (workshop.folder / "out").exists()


def test_what_trl_says_late_is_a_sentence_too(workshop: Any) -> None:
    recipe = workshop.recipe("rlvr", trl={"loss_type": "luspo", "sync_ref_model": True}, beta=0.0)
    with pytest.raises(OlmesError, match="TRL refuses the settings: .*sync_ref_model"):
        train(recipe, workshop.folder / "out", say=lambda _: None)


def test_ppo_has_a_table_of_its_own(workshop: Any) -> None:
    recipe = workshop.recipe("rlvr", algorithm="ppo", trl={"top_p": 0.9})
    with pytest.raises(OlmesError, match=r"its settings are in \[ppo\]"):
        check_table(recipe)


@pytest.mark.parametrize("stage", ["sft", "dpo", "reward", "rlvr"])
def test_no_setting_of_a_recipe_can_be_overruled_in_silence(stage: Any) -> None:
    """What TRL is given has a key in the recipe, is fixed with a reason, or is free to be changed."""
    recipe = read_recipe(f"small-{stage}", stage)
    free = {
        "logging_first_step",
        "dataloader_pin_memory",
        "packing_strategy",
        "num_generations_eval",
    }
    for name in {*arguments(recipe, Path("out")), *settings(recipe)} - free:
        assert trl_table.recipe_key(recipe, name) or name in trl_table.FIXED, name
    known = config_class(recipe).__dataclass_fields__
    for name in (*trl_table.FIXED, *trl_table.WORDS.get(stage, {})):
        everywhere = any(name in c.__dataclass_fields__ for c in all_configs())
        assert name in known or everywhere, name


def all_configs() -> list[Any]:
    stages: tuple[Stage, ...] = ("sft", "dpo", "reward", "rlvr")
    return [config_class(read_recipe(f"small-{stage}", stage)) for stage in stages]


def test_every_loss_of_a_recipe_is_trls(workshop: Any) -> None:
    from trl.trainer import dpo_trainer

    source = Path(dpo_trainer.__file__).read_text("utf-8")
    for loss in typing.get_args(DPOLoss):
        assert f'loss_type == "{loss}"' in source, loss


def test_vllm_that_is_not_there_is_said_at_the_start(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "vllm" else real(name, *a)
    )
    with pytest.raises(OlmesError, match="vLLM is not installed in this environment"):
        train(workshop.recipe("rlvr", vllm="colocate"), workshop.folder / "out", say=lambda _: None)
