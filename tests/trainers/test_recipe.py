"""Recipes: what a file may say, and what is refused in one sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.chain import read_chain
from olmes.trainers.mixing.recipe import read_mix
from olmes.trainers.recipes.files import bundled_recipes, make_recipe, read_recipe
from olmes.trainers.recipes.identity import recipe_hash, to_json
from olmes.trainers.recipes.stages import DPORecipe, RLVRRecipe, SFTRecipe

DATA = {"mine.jsonl": {"count": 3}}


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", sorted(bundled_recipes()))
def test_every_bundled_recipe_reads(name: str) -> None:
    if name in ("demo", "tulu3-8b"):
        chain = read_chain(name)
        assert [recipe.stage for recipe in chain.stages] == ["sft", "dpo", "rlvr"]
    elif name.endswith("-mix"):
        assert read_mix(name).name == name
    else:
        assert read_recipe(name, name.rsplit("-", 1)[1]).name == name  # type: ignore[arg-type]


def test_bundled_tulu_recipes_have_the_papers_numbers() -> None:
    """Tülu 3, Tables 11, 20, 21 and 36, for the 8B model."""
    sft, dpo = read_recipe("tulu3-8b-sft", "sft"), read_recipe("tulu3-8b-dpo", "dpo")
    rlvr = read_recipe("tulu3-8b-rlvr", "rlvr")
    assert isinstance(sft, SFTRecipe)
    assert isinstance(dpo, DPORecipe)
    assert isinstance(rlvr, RLVRRecipe)
    step = sft.optimization
    assert (step.learning_rate, step.epochs, step.batch_size) == (5e-6, 2, 128)
    assert (step.warmup_ratio, step.weight_decay, step.schedule) == (0.03, 0, "linear")
    assert (sft.max_length, sft.loss_reduction, sft.seed) == (4096, "sum", 123)
    assert (step.max_grad_norm, step.adam_epsilon) == (1.0, 1e-8)
    step = dpo.optimization
    assert (step.learning_rate, step.epochs, step.batch_size) == (5e-7, 1, 128)
    assert (step.warmup_ratio, dpo.beta, dpo.loss) == (0.1, 5, "sigmoid_norm")
    assert dpo.max_length == 2048
    reward = read_recipe("tulu3-8b-reward", "reward")
    step = reward.optimization
    assert (step.learning_rate, step.epochs, step.batch_size) == (3e-6, 1, 256)
    assert (step.max_grad_norm, step.schedule, reward.max_length) == (1, "linear", 2048)
    step = rlvr.optimization
    assert (step.learning_rate, step.batch_size, rlvr.algorithm) == (3e-7, 224, "ppo")
    assert (rlvr.beta, rlvr.reward_scale, rlvr.missing_end_reward) == (0.05, 10, -10)
    assert (rlvr.updates_per_batch, rlvr.clip, rlvr.temperature) == (4, 0.2, 1.0)
    assert (rlvr.max_prompt_length, rlvr.max_completion_length) == (2048, 2048)


def test_the_metrics_that_reward_are_a_setting_that_is_recorded() -> None:
    """The published recipe judges as its verifiers do, the others by the honest metrics."""
    tulu, small = read_recipe("tulu3-8b-rlvr", "rlvr"), read_recipe("small-rlvr", "rlvr")
    protocol = {
        "gsm8k": "exact_match", "math": "exact_match_flex", "ifeval": "prompt_level_strict",
    }  # fmt: skip
    assert to_json(tulu)["reward_metrics"] == protocol
    assert to_json(small)["reward_metrics"] == {}
    named = {"reward_metrics.gsm8k": "exact_match"}
    changed = read_recipe("small-rlvr", "rlvr", named)
    assert to_json(changed)["reward_metrics"] == {"gsm8k": "exact_match"}
    assert recipe_hash(changed) != recipe_hash(small)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rate = 1", ("unknown key 'learning_rate'", "known are")),
        ("max_lenght = 1", ("unknown key 'max_lenght'", "did you mean 'max_length'")),
        ("[optimization]\nlearning_rte = 1", ("optimization.learning_rte", "learning_rate")),
        ('max_length = "long"', ("'max_length' must be a whole number", "'long'")),
        ("max_length = 10.5", ("'max_length' must be a whole number",)),
        ("packing = 1", ("'packing' must be true or false",)),
        ('loss_reduction = "total"', ("'sum', 'mean'", "'total'")),
        ("optimization = 3", ("'optimization' must be a table",)),
        ("[data]\n'a.jsonl' = 1", ("data.a.jsonl", "two things", "fraction", "count")),
        ("[data]\n'a.jsonl' = 1.0", ("data.a.jsonl", "two things", "fraction", "count")),
        ("[data]\n'a.jsonl' = {}", ("data.a.jsonl", "no size", "fraction", "count")),
        ("[data]\n'a.jsonl' = { fraction = 1.0, count = 2 }", ("data.a.jsonl", "not several")),
        ("[data]\n'a.jsonl' = { count = 0 }", ("above 0",)),
        ("[data]\n'a.jsonl' = { weight = 1.0 }", ("has a weight", "rows")),
        ("max_length = 10", ("no data", "[data]")),
        ("[data\n", ("is not TOML",)),
        ('stage = "dpo"', ("olmes train dpo",)),
        ("[sft]\nmax_length = 1", ("olmes train chain",)),
        (
            "optimization = { batch_size = 6, micro_batch_size = 4 }\ndata.'a.jsonl'.count = 1",
            ("batch_size (6)", "multiple"),
        ),
        ('scoring = { suite = "dev", tasks = ["gsm8k"] }', ("not both",)),
    ],
)
def test_a_fault_is_one_sentence_naming_file_and_key(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(OlmesError) as refused:
        read_recipe(path, "sft")
    message = str(refused.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message


def test_group_size_must_divide_the_batch() -> None:
    with pytest.raises(OlmesError, match="multiple of generations"):
        make_recipe("rlvr", {"data": DATA, "generations": 5}, "x.toml")


def test_settings_override_any_key(tmp_path: Path) -> None:
    path = write(tmp_path, 'max_length = 7\n[data]\n"a.jsonl" = { count = 1 }')
    settings = {
        "max_length": "9",
        "optimization.learning_rate": "1",
        'data."a.jsonl".count': "4",
        "template": "tulu",
        "optimization.max_grad_norm": "none",
        "lora.rank": "4",
    }
    recipe = read_recipe(path, "sft", settings)
    assert recipe.max_length == 9
    assert recipe.optimization.learning_rate == 1.0
    assert isinstance(recipe.optimization.learning_rate, float)
    assert recipe.data[str(tmp_path / "a.jsonl")].count == 4
    assert recipe.template == "tulu"
    assert recipe.optimization.max_grad_norm is None
    assert recipe.lora is not None
    assert recipe.lora.rank == 4
    with pytest.raises(OlmesError, match="unknown key 'nothing'"):
        read_recipe(path, "sft", {"nothing": "1"})


def test_defaults_of_a_stage_stay_where_a_table_gives_one_field(tmp_path: Path) -> None:
    path = write(tmp_path, '[optimization]\nmax_steps = 3\n[data]\n"a.jsonl" = { count = 1 }')
    assert read_recipe(path, "dpo").optimization.warmup_ratio == 0.1


def test_the_hash_covers_what_the_weights_depend_on() -> None:
    base = make_recipe("sft", {"data": DATA}, "x.toml")
    assert recipe_hash(base) == recipe_hash(dataclasses.replace(base, name="y", log_every=9))
    assert recipe_hash(base) != recipe_hash(dataclasses.replace(base, seed=1))
    assert to_json(base)["stage"] == "sft"


def test_a_chain_lays_its_tables_over_the_recipes_it_names(tmp_path: Path) -> None:
    chain = write(
        tmp_path,
        'model = "mine"\nseed = 9\n[optimization]\nlearning_rate = 0.5\n'
        '[dpo]\nrecipe = "small-dpo"\noptimization = { max_steps = 2 }\n',
    )
    [dpo] = read_chain(chain, {"dpo.beta": "2"}).stages
    assert isinstance(dpo, DPORecipe)
    assert (dpo.model, dpo.seed, dpo.beta, dpo.name) == ("mine", 9, 2.0, "dpo")
    step = dpo.optimization
    assert (step.learning_rate, step.max_steps, step.batch_size) == (0.5, 2, 8)
    assert list(dpo.data) == ["small-dpo"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_length = 3", "describes no chain"),
        ('[sft]\nrecipe = "small-dpo"', "a recipe for dpo"),
        ("sft = 3", "'sft' must be a table"),
        ('[sft]\nrecipe = "small-sft"\n[unseen]\nlimit = 1', "unseen.reason"),
        ('baseline = 2\n[sft]\nrecipe = "small-sft"', "true or false"),
        ('[sft]\nrecipe = "nowhere"', "there is no recipe 'nowhere'"),
    ],
)
def test_a_fault_of_a_chain(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(OlmesError, match=words):
        read_chain(write(tmp_path, text))


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        ("sft", "optimization.learning_rate", -1.0), ("sft", "optimization.learning_rate", 0),
        ("sft", "optimization.learning_rate", float("nan")), ("sft", "optimization.max_steps", 0),
        ("dpo", "optimization.warmup_ratio", 3), ("rlvr", "optimization.warmup_ratio", 1.0),
        ("sft", "optimization.epochs", 0), ("sft", "optimization.batch_size", 0),
        ("sft", "optimization.micro_batch_size", -2), ("sft", "optimization.weight_decay", -0.1),
        ("sft", "optimization.adam_epsilon", 0), ("sft", "optimization.max_grad_norm", 0),
        ("sft", "max_length", 0), ("dpo", "beta", -5.0), ("dpo", "beta", 0), ("sft", "seed", -1),
        ("rlvr", "temperature", 0), ("rlvr", "beta", -1), ("rlvr", "clip", 0),
        ("rlvr", "max_completion_length", 0), ("rlvr", "max_prompt_length", -1),
        ("rlvr", "updates_per_batch", 0), ("rlvr", "reward_scale", float("inf")),
        ("sft", "lora.rank", 0), ("sft", "lora.dropout", 1.5), ("sft", "lora.alpha", 0),
        ("sft", "checkpoints.every", 0), ("sft", "checkpoints.keep", 0), ("sft", "log_every", 0),
        ("sft", "scoring.limit", 0), ("sft", "hardware.processes", 0), ("sft", "rows", 0),
        ("sft", "hardware.wait_minutes", 0), ("sft", "data.'a.jsonl'.fraction", float("nan")),
        ("sft", "validation.every", 0), ("sft", "hardware.data_processes", -1),
    ],
)  # fmt: skip
def test_numbers_out_of_their_range_are_refused_when_a_recipe_is_read(
    tmp_path: Path, stage: Any, key: str, value: float
) -> None:
    path = write(tmp_path, '[data]\n"a.jsonl" = { fraction = 1.0 }')
    with pytest.raises(OlmesError) as refused:
        read_recipe(path, stage, {key: str(value)})
    message = str(refused.value)
    assert str(path) in message
    assert f"'{key.replace(chr(39), '')}' is " in message
    assert "; give a number" in message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"gamma": 2.0}, "gamma is 2"), ({"lam": -1}, "lam is -1"), ({"value_clip": 0}, "value_clip"),
        ({"minibatches": 3}, "multiple of minibatches"), ({"generators": 0}, "generators is 0"),
        ({"warmup_ratio": 1.0}, "warmup_ratio is 1"), ({"save_total_limit": 0}, "save_total_limit"),
        ({"learning_rate": -1.0}, "learning_rate is -1"), ({"max_staleness": -1}, "max_staleness"),
        ({"adam_epsilon": float("nan")}, "adam_epsilon' is nan"),
    ],
)  # fmt: skip
def test_so_are_those_of_ppo(table: dict[str, Any], words: str) -> None:
    with pytest.raises(OlmesError, match=words):
        make_recipe("rlvr", {"data": DATA, "algorithm": "ppo", "ppo": table}, "x.toml")


def test_a_checkpoint_within_the_passes_over_a_batch_is_refused() -> None:
    table = {"data": DATA, "updates_per_batch": 2, "checkpoints": {"every": 5}}
    with pytest.raises(OlmesError, match="multiple of updates_per_batch"):
        make_recipe("rlvr", table, "x.toml")
    make_recipe("rlvr", {**table, "checkpoints": {"every": 4}}, "x.toml")


def test_models_are_found_from_the_recipe_as_data_are(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    table = {"data": DATA, "model": "base", "ppo": {"value": "base"}}
    recipe = make_recipe("rlvr", table, str(tmp_path / "x.toml"))
    assert isinstance(recipe, RLVRRecipe)
    assert (recipe.model, recipe.ppo.value) == (str(tmp_path / "base"),) * 2
    elsewhere = make_recipe("sft", {"data": DATA, "model": "owner/name"}, str(tmp_path / "x.toml"))
    assert elsewhere.model == "owner/name"
