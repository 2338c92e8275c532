"""What a folder's training is held against when the command is given again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.tools import jsonl
from olmes.trainers.ppo.config import LEARNED as LEARNED_BY_PPO
from olmes.trainers.ppo.config import REPLACEABLE, PPOConfig
from olmes.trainers.recipes.identity import (
    BY_CONTENT,
    FREE,
    LEARNED,
    keys_of,
    recipe_hash,
    role_of,
    settings,
)  # fmt: skip
from olmes.trainers.recipes.stages import KINDS
from tests.trainers.conftest import Workshop, turns
from tests.trainers.launching import Launcher


def write_recipe(workshop: Workshop, stage: str, **changes: Any) -> Path:
    """A recipe file on the workshop's data; `changes` are keys of it by dotted name."""
    lines = {
        "model": str(workshop.model), "template": "tulu", "max_length": 64,
        "optimization.learning_rate": 1e-3, "optimization.batch_size": 8,
        "optimization.micro_batch_size": 4, "optimization.max_steps": 3,
        "checkpoints.every": 1, "hardware.device": "cpu",
        f'data."{stage}.jsonl".fraction': 1.0,
    }  # fmt: skip
    if stage == "rlvr":
        lines |= {"generations": 4, "max_prompt_length": 32, "max_completion_length": 6}
    path = workshop.folder / f"{stage}.toml"
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (lines | changes).items())
    path.write_text(text, "utf-8")
    return path


def stop_at(out: Path, step: int) -> None:
    """A finished training as if it had been killed when it had written checkpoint-STEP."""
    shutil.rmtree(out / "final")
    (out / "done.json").unlink()
    for folder in out.glob("checkpoint-*"):
        if int(folder.name.split("-")[1]) > step:
            shutil.rmtree(folder)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "model.safetensors")
    return found


def distance(a: Path, b: Path) -> float:
    """The largest difference of two models' weights."""
    one, other = weights(a), weights(b)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_every_key_of_a_recipe_is_in_exactly_one_set() -> None:
    """A new key is put into LEARNED, BY_CONTENT or FREE of trainers/recipes/identity.py."""
    keys = {key for kind in KINDS.values() for key in keys_of(kind())}
    for key in keys:
        role_of(key)
    sets = [set(LEARNED), set(BY_CONTENT), set(FREE)]
    assert sum(map(len, sets)) == len(set.union(*sets))
    assert set.union(*sets) == keys
    names = {field.name for field in dataclasses.fields(PPOConfig)}
    assert names == REPLACEABLE | LEARNED_BY_PPO
    assert not REPLACEABLE & LEARNED_BY_PPO


def test_the_hash_is_of_content_and_of_what_is_learned(workshop: Workshop, tmp_path: Path) -> None:
    import copy

    base = workshop.recipe("sft")
    same: list[dict[str, Any]] = [
        {"optimization": {"micro_batch_size": 2}},
        {"hardware": {"device": "cpu", "processes": 2, "strategy": "fsdp"}},
        {"hardware": {"gradient_checkpointing": True, "attention": "eager"}},
        {"checkpoints": {"every": 1}}, {"log_every": 3}, {"optimization": {"epochs": 9.0}},
    ]  # fmt: skip
    for change in same:
        assert recipe_hash(workshop.recipe("sft", **copy.deepcopy(change))) == recipe_hash(base)
    others: list[dict[str, Any]] = [
        {"seed": 4}, {"optimization": {"learning_rate": 2e-3}}, {"lora": {"rank": 2}},
        {"template": "smollm2"}, {"data": {"sft.jsonl": {"count": 3}}},
        {"trl": {"neftune_noise_alpha": 1}},
    ]  # fmt: skip
    for change in others:
        assert recipe_hash(workshop.recipe("sft", **copy.deepcopy(change))) != recipe_hash(base)
    elsewhere = tmp_path / "elsewhere/sft.jsonl"
    elsewhere.parent.mkdir()
    shutil.copy(workshop.folder / "sft.jsonl", elsewhere)
    moved = workshop.recipe("sft", data={str(elsewhere): {"fraction": 1.0}})
    assert recipe_hash(moved) == recipe_hash(base)
    jsonl.write(elsewhere, [{"messages": turns("1+1", "2")}])
    assert recipe_hash(moved) != recipe_hash(base)


def test_ppo_is_compared_by_what_its_settings_come_to(workshop: Workshop) -> None:
    """Whichever table says it; and what PPO does not look at is not compared."""
    plain = workshop.recipe("rlvr", algorithm="ppo")
    table = workshop.recipe("rlvr", algorithm="ppo", ppo={"learning_rate": 1e-3, "beta": 0.05})
    assert settings(plain) == settings(table)
    fewer = workshop.recipe("rlvr", algorithm="ppo", generations=2, ppo={"shard": True})
    assert settings(fewer) == settings(plain)
    steeper = workshop.recipe("rlvr", algorithm="ppo", ppo={"learning_rate": 2e-3})
    assert settings(steeper) != settings(plain)


def test_a_failed_start_claims_nothing(launcher: Launcher, workshop: Workshop) -> None:
    recipe = write_recipe(workshop, "rlvr")
    failed = launcher.start(
        ["train", "rlvr", recipe, "--set", "max_prompt_length=2"], workshop.folder
    )
    assert failed.wait() == [2]
    assert "raise it" in failed.text()
    said = launcher.start(
        ["train", "rlvr", recipe, "--set", "optimization.max_steps=1"], workshop.folder
    ).good()
    assert "left no checkpoint; it is replaced" in said
    assert "rlvr done" in said


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_other_micro_batches_and_memory_go_on_to_the_same_weights(
    launcher: Launcher, workshop: Workshop, stage: str
) -> None:
    """As after running out of memory: half the micro-batch, activations computed twice."""
    recipe = write_recipe(workshop, stage)
    out = workshop.folder / "trained" / stage
    command: list[str | Path] = ["train", stage, recipe]
    launcher.start(command, workshop.folder).good()
    shutil.copytree(out, workshop.folder / "whole")
    stop_at(out, 1)
    less = ["--set", "optimization.micro_batch_size=2"]
    less += ["--set", "hardware.gradient_checkpointing=true"]
    said = launcher.start([*command, *less], workshop.folder).good()
    assert "resumes from checkpoint-1" in said
    assert distance(out / "final", workshop.folder / "whole/final") < 1e-6


def test_changed_data_is_refused_with_the_rows_counts(
    launcher: Launcher, workshop: Workshop
) -> None:
    """While it is trained on and when it is done; the same file elsewhere goes on."""
    recipe = write_recipe(workshop, "sft")
    out = workshop.folder / "trained/sft"
    command: list[str | Path] = ["train", "sft", recipe]
    launcher.start(command, workshop.folder).good()
    data = workshop.folder / "sft.jsonl"
    before = data.read_bytes()
    fewer = [{"messages": turns(f"{n}+1", str(n + 1))} for n in range(10, 25)]
    jsonl.write(data, fewer)
    for stopped in (False, True):
        if stopped:
            stop_at(out, 1)
        refused = launcher.start(command, workshop.folder)
        assert refused.wait() == [2]
        assert "gave 32 of 32 rows then and 15 of 15 now" in refused.text()
    data.write_bytes(before)
    moved = workshop.folder / "moved"
    moved.mkdir()
    for name in ("sft.toml", "sft.jsonl", "trained"):
        (workshop.folder / name).rename(moved / name)
    assert "resumes from checkpoint-1" in launcher.start(["train", "sft", "sft.toml"], moved).good()
