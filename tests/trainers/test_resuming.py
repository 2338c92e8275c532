"""What a folder's training is held against when the command is given again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.chat.templates import FOLDER as TEMPLATES
from olmes.tools import jsonl
from olmes.trainers.data.compared import same_sources
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
from olmes.trainers.stage import finished, prepare
from olmes.trainers.templates.pairs import TRAINING
from olmes.trainers.train import train
from tests.trainers.conftest import ADDITION, Workshop, turns
from tests.trainers.launching import Launcher

SLOW = pytest.mark.slow


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
    assert keys == set.union(*sets)
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


@pytest.mark.parametrize("stage", ["sft", pytest.param("dpo", marks=SLOW)])
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


def test_a_changed_verifier_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    """While it is trained on, when it is done, and when its training has moved."""
    task = workshop.folder / "task.py"
    shutil.copy(ADDITION, task)
    rows = list(jsonl.read(workshop.folder / "rlvr.jsonl"))
    for row in rows:
        row["verifiers"][0]["task"] = "task.py"
    jsonl.write(workshop.folder / "rlvr.jsonl", rows)
    step = {"optimization": {"max_steps": 1}, "checkpoints": {"every": 1}}
    out = tmp_path / "out"
    recipe = workshop.recipe("rlvr", **step)
    train(recipe, out, say=lambda _: None)
    before = task.read_bytes()
    task.write_bytes(before + b"# another line\n")
    with pytest.raises(OlmesError, match=r"another verifier rewarded: task.py has changed"):
        finished(recipe, out)
    stop_at(out, 1)
    with pytest.raises(OlmesError, match=r"another verifier rewarded: task.py has changed"):
        prepare(recipe, out, say=lambda _: None)
    task.write_bytes(before)
    named = recipe_hash(recipe)
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in (task, workshop.folder / "rlvr.jsonl"):
        file.rename(moved / file.name)
    again = workshop.recipe("rlvr", **step, data={str(moved / "rlvr.jsonl"): {"fraction": 1.0}})
    assert recipe_hash(again) == named
    prepare(again, out, say=lambda _: None)
    (moved / "task.py").write_bytes(before + b"# another line\n")
    with pytest.raises(OlmesError, match=r"task.py has changed"):
        prepare(again, out, say=lambda _: None)


def test_a_changed_template_is_refused_and_one_elsewhere_is_not(
    workshop: Workshop, tmp_path: Path
) -> None:
    own = workshop.folder / "own.jinja"
    marks = workshop.folder / "own.training.jinja"
    shutil.copy(TEMPLATES / "tulu.jinja", own)
    shutil.copy(TRAINING / "tulu.training.jinja", marks)
    step = {"optimization": {"max_steps": 1}, "checkpoints": {"every": 1}}
    out = tmp_path / "out"
    recipe = workshop.recipe("sft", template="own.jinja", **step)
    train(recipe, out, say=lambda _: None)
    elsewhere = workshop.folder / "deep"
    elsewhere.mkdir()
    for file in (own, marks):
        shutil.copy(file, elsewhere / file.name)
    moved = dataclasses.replace(recipe, template=str(elsewhere / "own.jinja"))
    assert finished(moved, out) == out / "final"
    for file in (own, marks):
        file.write_text(file.read_text("utf-8") + "{# another #}", "utf-8")
    with pytest.raises(OlmesError, match="another chat template"):
        finished(recipe, out)
    stop_at(out, 1)
    with pytest.raises(OlmesError, match="another chat template"):
        prepare(recipe, out, say=lambda _: None)
    prepare(moved, out, say=lambda _: None)


def test_rows_that_are_other_ones_are_refused_though_they_are_as_many(
    workshop: Workshop, tmp_path: Path
) -> None:
    """And another size that comes to the same rows is not."""
    step = {"optimization": {"max_steps": 1}, "checkpoints": {"every": 1}}
    out = tmp_path / "out"
    recipe = workshop.recipe("sft", **step)
    train(recipe, out, say=lambda _: None)
    counted = workshop.recipe("sft", **step, data={"sft.jsonl": {"count": 32}})
    assert finished(counted, out) == out / "final"
    rows = list(jsonl.read(workshop.folder / "sft.jsonl"))
    rows[7] = {"messages": turns("1+1", "3")}
    jsonl.write(workshop.folder / "sft.jsonl", rows)
    with pytest.raises(
        OlmesError, match="32 rows then as now, but others|as many rows then as now"
    ):
        finished(recipe, out)
    (workshop.folder / "sft.jsonl").unlink()  # what is gone is not asked for
    assert finished(recipe, out) == out / "final"


def test_checkpoints_of_nobody_knows_what_are_not_gone_on_from(
    workshop: Workshop, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    recipe = workshop.recipe("sft", optimization={"max_steps": 1})
    train(recipe, out, say=lambda _: None)
    (out / "done.json").unlink()
    (out / "recipe.json").unlink()
    with pytest.raises(OlmesError, match="holds checkpoints but no recipe.json"):
        train(recipe, out, say=lambda _: None)


OLDER = Path(__file__).parent / "files/older"
"""`recipe.json` as an olmes of November 2026 wrote it, for the workshop's data and two updates."""


def give_older(out: Path, name: str) -> None:
    """The folder's recipe.json as that of an older olmes; model and data are those of the test."""
    older = json.loads((OLDER / f"{name}.json").read_text("utf-8"))
    kept = json.loads((out / "recipe.json").read_text("utf-8"))
    older["model"] = kept["model"]
    (out / "recipe.json").write_text(json.dumps(older), "utf-8")


@pytest.mark.parametrize("name", ["ppo", *(pytest.param(n, marks=SLOW) for n in ("sft", "grpo"))])
def test_older_folders_are_found_finished_and_resumed(
    workshop: Workshop, tmp_path: Path, name: str
) -> None:
    stage: Any = "sft" if name == "sft" else "rlvr"
    kind: dict[str, Any] = {} if name == "sft" else {"algorithm": name}
    step = {"max_steps": 2, "warmup_ratio": 0.03 if name == "sft" else 0.0}
    now = workshop.recipe(stage, optimization=step, checkpoints={"every": 1}, **kind)
    # As an older olmes trained it, whose defaults were others.
    earlier: dict[str, dict[str, Any]] = {
        "sft": {"max_grad_norm": None},
        "grpo": {"weight_decay": 0.0},
        "ppo": {"weight_decay": 0.0, "adam_epsilon": 1e-5},
    }
    out = tmp_path / "out"
    optimization = dataclasses.replace(now.optimization, **earlier[name])
    train(dataclasses.replace(now, optimization=optimization), out, say=lambda _: None)
    give_older(out, name)
    if name == "ppo":
        prompts = json.loads((out / "checkpoint-2/ppo/run.json").read_text())["prompts"]
        run = json.loads((OLDER / "ppo-run.json").read_text()) | {"prompts": prompts}
        (out / "checkpoint-1/ppo/run.json").write_text(json.dumps(run), "utf-8")
    assert finished(now, out) == out / "final"
    with pytest.raises(OlmesError, match="'seed' differs: 3 then, 4 now"):
        finished(dataclasses.replace(now, seed=4), out)
    for _ in range(2):  # the first time it is taken over into the form of today
        stop_at(out, 1)
        said: list[str] = []
        train(now, out, say=said.append)
        assert any("from checkpoint-1" in line for line in said)
        assert any("the default when it began" in line for line in said)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("stage", ["sft", "dpo", "grpo", "ppo"])
def test_other_processes_go_on_with_the_same_rows(
    launcher: Launcher, workshop: Workshop, stage: str, first: int, then: int
) -> None:
    """To the same weights, but for GRPO, whose processes draw with random numbers of their own."""
    kind: Any = "rlvr" if stage in ("grpo", "ppo") else stage
    changes = {"algorithm": stage} if kind == "rlvr" else {}
    recipe = write_recipe(workshop, kind, **changes)
    out = workshop.folder / "trained" / kind
    command: list[str | Path] = ["train", kind, recipe]

    def run(processes: int) -> str:
        several = [*command, "--set", f"hardware.processes={processes}"]
        return launcher.start(several, workshop.folder, processes=processes).good()

    run(first)
    shutil.copytree(out, workshop.folder / "whole")
    stop_at(out, 1)
    assert "resumes from checkpoint-1" in run(then)
    log = [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [1, 2, 3]
    assert (out / "final/model.safetensors").is_file()
    if stage != "grpo":
        assert distance(out / "final", workshop.folder / "whole/final") < 2e-6


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [("ddp", "fsdp"), ("fsdp", "ddp")])
def test_ppo_goes_on_under_another_strategy(
    launcher: Launcher, workshop: Workshop, first: str, then: str
) -> None:
    recipe = write_recipe(workshop, "rlvr", algorithm="ppo")
    out = workshop.folder / "trained/rlvr"

    def run(strategy: str) -> str:
        command: list[str | Path] = ["train", "rlvr", recipe]
        command += ["--set", "hardware.processes=2"]
        command += ["--set", f"hardware.strategy='{strategy}'"]
        return launcher.start(command, workshop.folder, processes=2).good()

    run(first)
    shutil.copytree(out, workshop.folder / "whole")
    stop_at(out, 1)
    assert "resumes from checkpoint-1" in run(then)
    assert distance(out / "final", workshop.folder / "whole/final") < 2e-6


def test_a_hub_data_set_is_the_same_at_its_commit_alone() -> None:
    """The recipe may name the commit later that was fetched first. No hub can be asked here."""
    one, other = "1" * 40, "2" * 40
    then, now = [{"named": "owner/name", "count": 3}], [{"named": "owner/name", "count": 3}]
    at = [{"revision": one}], [{"revision": other}]
    assert same_sources(then, [now[0] | {"revision": one}], at[0], at[0])
    assert not same_sources(then, now, *at)
    assert not same_sources(then, [{"named": "owner/name", "count": 4}], at[0], at[0])
    assert not same_sources(then, now, [{"revision": ""}], [{"revision": ""}])
    assert same_sources(then, now, *([{"revision": "", "content": "a"}] for _ in at))
