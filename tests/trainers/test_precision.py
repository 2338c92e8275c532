"""Checkpoints in their model's precision: what is in the files, what is scored, and exact resuming."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.trainers.on_trl.precision import WHOLE, file_precision, rounded, save_model
from olmes.trainers.recipes.tables import Checkpoints
from olmes.trainers.train import train

STAGES: dict[str, dict[str, Any]] = {
    "sft": {},
    "dpo": {},
    "reward": {"data": {"dpo.jsonl": {"fraction": 1.0}}},
    "rlvr": {"missing_end_reward": -1.0},
    "ppo": {"algorithm": "ppo"},
}


@pytest.fixture
def half(workshop: Any) -> Any:
    """The workshop's model, saved in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = workshop.folder / "half"
    AutoTokenizer.from_pretrained(workshop.model).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(workshop.model, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return folder


def kinds(folder: Path) -> set[str]:
    """The precisions of the tensors of a folder's weights."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors").values()
    return {str(tensor.dtype).removeprefix("torch.") for tensor in weights}


def config_of(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k != "sft" else k for k in STAGES]
)
def test_files_are_in_the_models_precision_and_a_resume_is_exact(
    workshop: Any, half: Path, kind: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    stage = "rlvr" if kind == "ppo" else kind
    table = {"model": str(half), "checkpoints": {"every": 2}, **STAGES[kind]}
    recipe = workshop.recipe(stage, **table)
    out = tmp_path / "out"
    final = train(recipe, out, say=lambda _: None)
    for folder in (out / "checkpoint-2", out / "checkpoint-4", final):
        assert kinds(folder) == {"bfloat16"}
        assert config_of(folder)["dtype"] == "bfloat16"
    whole = load_file(out / "checkpoint-4" / WHOLE / "model.safetensors")
    saved = load_file(final / "model.safetensors")
    assert whole.keys() == saved.keys()
    for name, tensor in whole.items():
        assert saved[name].equal(tensor.bfloat16()), name
    assert any(not saved[name].float().equal(tensor) for name, tensor in whole.items())
    assert not (final / WHOLE).exists()
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for gone in (again / "checkpoint-4", again / "final"):
        shutil.rmtree(gone)
    (again / "done.json").unlink()
    said: list[str] = []
    train(recipe, again, say=said.append)
    for name in (f"checkpoint-4/{WHOLE}/model.safetensors", "final/model.safetensors"):
        assert (out / name).read_bytes() == (again / name).read_bytes(), name


def test_merged_adapters_are_in_the_models_precision(
    workshop: Any, half: Path, tmp_path: Path
) -> None:
    recipe = workshop.recipe(
        "sft", model=str(half), lora={"rank": 2}, optimization={"max_steps": 1}
    )
    final = train(recipe, tmp_path / "out", say=lambda _: None)
    assert kinds(final) == {"bfloat16"}
    assert config_of(final)["dtype"] == "bfloat16"


def test_a_recipe_may_ask_for_another_precision(workshop: Any, half: Path, tmp_path: Path) -> None:
    given = {"model": str(half), "optimization": {"max_steps": 1}}
    recipe = workshop.recipe("sft", checkpoints={"precision": "float32"}, **given)
    final = train(recipe, tmp_path / "out", say=lambda _: None)
    assert kinds(final) == {"float32"}
    assert not (tmp_path / "out/checkpoint-1" / WHOLE).exists()
    assert file_precision(Checkpoints(precision="bfloat16"), workshop.model) == "bfloat16"
    assert file_precision(Checkpoints(), workshop.model) == "float32"


@pytest.mark.parametrize(
    ("config", "precision"),
    [
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "float16"}, "float16"),
        ({"text_config": {"dtype": "bfloat16"}}, "bfloat16"),
        ({"dtype": "float8_e4m3fn"}, "float32"),
        ({}, "float32"),
    ],
)
def test_the_models_precision_is_read_from_its_config(
    tmp_path: Path, config: dict[str, Any], precision: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert file_precision(Checkpoints(), tmp_path) == precision


def test_tied_weights_stay_tied_and_some_stay_float32(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model._keep_in_fp32_modules_strict = {"norm"}
    save_model(model, tmp_path, "bfloat16")
    saved = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in saved
    assert saved["model.norm.weight"].dtype == torch.float32
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16
    assert loaded.lm_head.weight.equal(model.lm_head.weight.bfloat16())
    ints = rounded({"a": torch.arange(3)}, "bfloat16", frozenset())
    assert ints["a"].dtype == torch.int64


@pytest.mark.slow
def test_a_checkpoint_is_scored_in_its_precision(
    workshop: Any, half: Path, tmp_path: Path, addition_file: Path, launcher: Any
) -> None:
    final = train(workshop.recipe("sft", model=str(half)), tmp_path / "out", say=lambda _: None)
    arguments = ["--model", final, "--dtype", "auto", "--limit", "2", "--out", tmp_path / "runs"]
    launcher.start(["run", "--task", addition_file, *arguments], tmp_path).good()
    (run,) = (tmp_path / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["model"]["engine"]["dtype"] == "bfloat16"


FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
"""What `accelerate launch` tells its processes."""
RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
data = {{ "sft.jsonl" = {{ fraction = 1.0 }} }}
optimization = {{ learning_rate = 1e-3, batch_size = 8, micro_batch_size = 4, max_steps = 4 }}
hardware = {{ device = "cpu", processes = 2 }}
checkpoints = {{ every = 2 }}
"""


@pytest.mark.slow
@pytest.mark.parametrize("env", [{}, FSDP], ids=["ddp", "fsdp"])
def test_two_processes_resume_exactly_from_half_precision(
    workshop: Any, half: Path, launcher: Any, env: dict[str, str]
) -> None:
    recipe = workshop.folder / "two.toml"
    recipe.write_text(RECIPE.format(model=half))
    command = ["train", "sft", recipe, "--out", "out"]
    launcher.start(command, workshop.folder, processes=2, env=env).good()
    out = workshop.folder / "out"
    assert kinds(out / "final") == kinds(out / "checkpoint-2") == {"bfloat16"}
    before = (out / "final/model.safetensors").read_bytes()
    for gone in ("checkpoint-4", "final"):
        shutil.rmtree(out / gone)
    (out / "done.json").unlink()
    launcher.start(command, workshop.folder, processes=2, env=env).good()
    assert (out / "final/model.safetensors").read_bytes() == before
