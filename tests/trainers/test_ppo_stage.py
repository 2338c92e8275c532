"""PPO as a stage: the recipe's settings reach it, and it leaves what every stage leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.ppo_stage import ppo_config
from olmes.trainers.recipe import read_recipe
from olmes.trainers.train import train

SMALL = {
    "algorithm": "ppo",
    "updates_per_batch": 1,
    "missing_end_reward": -10.0,
    "optimization": {"max_steps": 2},
    "checkpoints": {"every": 1},
}


def test_the_bundled_recipe_is_the_papers_run() -> None:
    """Tülu 3, Table 21."""
    config = ppo_config(read_recipe("tulu3-8b-rlvr", "rlvr"), {}, 29_946)
    assert (config.updates, config.batch_size, config.epochs) == (447, 224, 4)
    assert (config.reward, config.no_end_penalty, config.beta) == (10.0, -10.0, 0.05)
    assert (config.learning_rate, config.clip, config.temperature) == (3e-7, 0.2, 1.0)
    assert config.response_length == 2048


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(OlmesError, match=r"no setting 'ppo\.lamda'"):
        ppo_config(read_recipe("tulu3-8b-rlvr", "rlvr"), {"lamda": 1}, 1)


def test_a_stage_by_ppo(workshop: Any, tmp_path: Any) -> None:
    from transformers import AutoModelForCausalLM

    out = tmp_path / "ppo"
    final = train(workshop.recipe("rlvr", **SMALL), out, say=lambda _: None)
    AutoModelForCausalLM.from_pretrained(final)
    assert json.loads((out / "done.json").read_text())["step"] == 2
    rows = [json.loads(line) for line in (out / "train_log.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2]
    lineage = json.loads((final / "lineage.json").read_text())
    assert lineage[-1]["method"] == "rlvr"


def test_adapters_are_refused(workshop: Any, tmp_path: Any) -> None:
    recipe = workshop.recipe("rlvr", **SMALL, lora={"rank": 2})
    with pytest.raises(OlmesError, match="PPO trains all weights"):
        train(recipe, tmp_path / "ppo", say=lambda _: None)
