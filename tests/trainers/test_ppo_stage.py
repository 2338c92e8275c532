"""PPO as a stage: the recipe's settings reach it, and it leaves what every stage leaves."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.ppo import PPOConfig
from olmes.trainers.ppo.settings import ppo_config
from olmes.trainers.ppo.table import PPOTable
from olmes.trainers.ppo.train import check_launcher
from olmes.trainers.recipes.files import make_recipe, read_recipe
from olmes.trainers.recipes.identity import recipe_hash, to_json
from olmes.trainers.recipes.stages import RLVRRecipe
from olmes.trainers.train import train, train_stage

SMALL = {
    "algorithm": "ppo",
    "updates_per_batch": 1,
    "missing_end_reward": -10.0,
    "optimization": {"max_steps": 2},
    "checkpoints": {"every": 1},
}


def test_the_bundled_recipe_is_the_papers_run() -> None:
    """Tülu 3, Table 21."""
    recipe = read_recipe("tulu3-8b-rlvr", "rlvr")
    assert isinstance(recipe, RLVRRecipe)
    config = ppo_config(recipe, 29_946)
    assert (config.updates, config.batch_size, config.updates_per_batch) == (447, 224, 4)
    assert (config.reward_scale, config.missing_end_reward, config.beta) == (10.0, -10.0, 0.05)
    assert (config.learning_rate, config.clip, config.temperature) == (3e-7, 0.2, 1.0)
    assert (config.max_completion_length, config.max_prompt_length) == (2048, 2048)
    assert (config.gamma, config.lam, config.minibatches, config.whiten) == (1.0, 0.95, 1, True)
    assert (config.value_clip, config.value_coef, config.max_grad_norm) == (0.2, 0.1, 1.0)
    assert (config.schedule, config.warmup_ratio, config.save_every) == ("linear", 0.0, 100)
    # As the published command and code have it (open-instruct at the paper's commit).
    assert (config.adam_epsilon, config.weight_decay, config.seed) == (1e-8, 0.01, 3)
    assert config.schedule_steps == 10_000_000 // 224
    assert config.rate(446) == pytest.approx(3e-7 * (1 - 446 / 44_642))
    assert recipe.ppo.asynchronous
    assert (config.queue_size, config.max_staleness) == (1, 1)
    assert config.shard
    assert recipe.ppo.value == "allenai/Llama-3.1-Tulu-3-8B-RM"


def test_every_setting_of_a_recipe_reaches_ppo() -> None:
    recipe = read_recipe(
        "tulu3-8b-rlvr",
        "rlvr",
        {
            "optimization.max_grad_norm": "0.5", "optimization.schedule": "constant",
            "hardware.precision": "float32", "hardware.device": "cpu",
        },
    )  # fmt: skip
    assert isinstance(recipe, RLVRRecipe)
    config = ppo_config(recipe, 1)
    assert (config.max_grad_norm, config.schedule) == (0.5, "constant")
    assert (config.mixed_precision, config.device) == ("no", "cpu")
    endless = read_recipe("tulu3-8b-rlvr", "rlvr", {"optimization.max_grad_norm": "none"})
    assert isinstance(endless, RLVRRecipe)
    assert ppo_config(endless, 1).max_grad_norm == math.inf


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464]),
    ],
)
def test_schedules(schedule: str, rates: list[float]) -> None:
    config = PPOConfig(updates=6, warmup_ratio=1 / 3, learning_rate=1.0, schedule=schedule)  # type: ignore[arg-type]
    assert [config.rate(update) for update in range(6)] == pytest.approx(rates, abs=1e-4)


DATA = {"small-rlvr": {"fraction": 1.0}}


def test_unknown_settings_are_refused_before_anything_is_loaded() -> None:
    for table, words in (
        ({"lamda": 1}, r"unknown key 'ppo\.lamda'; did you mean 'lam'\?"),
        ({"whiten": "yes"}, r"'ppo\.whiten' must be true or false"),
        ({"gamma": "much"}, r"'ppo\.gamma' must be a number"),
        ({"epochs": 2, "updates_per_batch": 2}, "another name of 'updates_per_batch'"),
    ):
        with pytest.raises(OlmesError, match=words):
            make_recipe("rlvr", {"data": DATA, "ppo": table}, "x.toml")


def test_the_table_has_every_setting_and_keeps_the_older_names() -> None:
    own = {field.name for field in dataclasses.fields(PPOTable)}
    assert own - {"value", "asynchronous"} == {f.name for f in dataclasses.fields(PPOConfig)}
    older = {"epochs": 2, "reward": 1, "no_end_penalty": -1.5, "response_length": 7, "lam": 1}
    recipe = make_recipe("rlvr", {"data": DATA, "ppo": older}, "x.toml")
    assert isinstance(recipe, RLVRRecipe)
    config = ppo_config(recipe, 100)
    assert (config.updates_per_batch, config.reward_scale, config.lam) == (2, 1, 1)
    assert (config.missing_end_reward, config.max_completion_length) == (-1.5, 7)
    newer = {"updates_per_batch": 2, "reward_scale": 1, "missing_end_reward": -1.5}
    newer |= {"max_completion_length": 7, "lam": 1}
    again = make_recipe("rlvr", {"data": DATA, "ppo": newer}, "x.toml")
    assert recipe_hash(again) == recipe_hash(recipe)
    assert set(config.to_json()) > {"reward", "no_end_penalty", "epochs", "response_length"}
    # As it was hashed when the table was a plain mapping: a stopped training resumes.
    assert to_json(recipe)["ppo"] == older
    assert json.dumps(to_json(recipe)["ppo"]["lam"]) == "1"


def test_a_stage_by_ppo(workshop: Any, tmp_path: Any) -> None:
    """With a reward model to make the value model of, and with what its verifiers tell in the log."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(workshop.model)
    config.num_labels = 1
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "rm")
    out = tmp_path / "ppo"
    recipe = workshop.recipe("rlvr", **SMALL, ppo={"value": str(tmp_path / "rm")})
    final = train(recipe, out, say=lambda _: None)
    AutoModelForCausalLM.from_pretrained(final)
    assert json.loads((out / "done.json").read_text())["step"] == 2
    rows = [json.loads(line) for line in (out / "train_log.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row["verifier/addition"] == pytest.approx(row["verified"])
        assert (row["verifier/timeouts"], row["verifier/crashes"]) == (0, 0)
        assert 0 <= row["completions/distinct_3"] <= 1
    lineage = json.loads((final / "lineage.json").read_text())
    assert lineage[-1]["method"] == "rlvr"
    plain = train(workshop.recipe("rlvr", **SMALL), tmp_path / "plain", say=lambda _: None)
    told = [json.loads(line) for line in (plain.parent / "train_log.jsonl").open()]
    assert told[0]["value_loss"] != rows[0]["value_loss"]  # another value model


def test_shards_and_other_engines_are_refused(workshop: Any, tmp_path: Any) -> None:
    from types import SimpleNamespace

    from accelerate.utils import DistributedType

    for kind in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        with pytest.raises(OlmesError, match="cuts weights by itself"):
            check_launcher(SimpleNamespace(distributed_type=kind))
    check_launcher(SimpleNamespace(distributed_type=DistributedType.MULTI_GPU))
    with pytest.raises(OlmesError, match="PPO shards by FSDP"):
        read_recipe("tulu3-8b-rlvr", "rlvr", {"hardware.strategy": "zero3"})
    with pytest.raises(OlmesError, match="PPO has no vLLM server"):
        workshop.recipe("rlvr", **SMALL, vllm="server")


def test_adapters_are_refused(workshop: Any, tmp_path: Any) -> None:
    with pytest.raises(OlmesError, match="PPO trains all weights"):
        workshop.recipe("rlvr", **SMALL, lora={"rank": 2})


def test_algorithm_ppo_is_trained_by_ppo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained: list[str] = []

    def note(prepared: str) -> Path:
        trained.append(prepared)
        return tmp_path

    monkeypatch.setattr("olmes.trainers.train.prepare", lambda recipe, *_, **__: recipe.algorithm)
    monkeypatch.setattr("olmes.trainers.ppo.stage.train_ppo_stage", note)
    assert train_stage(read_recipe("tulu3-8b-rlvr", "rlvr"), tmp_path, say=print) == tmp_path
    assert trained == ["ppo"]
