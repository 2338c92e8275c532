"""Which folders are complete checkpoints, on folders as transformers writes them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from olmes.models.checkpoint.completeness import trouble_of
from olmes.trainers.checkpoints.folders import (
    checkpoint_at,
    checkpoints_in,
    last_complete,
    model_files,
    signature,
)
from tests.known import known


@pytest.fixture
def make(base: Path, tmp_path: Path) -> Callable[..., Path]:
    """`make(name, step)`: a checkpoint folder as a trainer leaves it."""

    def copy(name: str = "checkpoint-4", step: int | None = 4) -> Path:
        folder = tmp_path / "out" / name
        shutil.copytree(base, folder)
        (folder / "optimizer.pt").write_bytes(b"x" * 1000)
        if step is not None:
            (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        return folder

    return copy


def test_a_whole_checkpoint(make: Callable[..., Path]) -> None:
    folder = make()
    assert trouble_of(folder) is None
    assert trouble_of(folder, in_order=True) is None
    assert checkpoint_at(folder).step == 4
    names = {file.name for file in model_files(folder)}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
    assert "optimizer.pt" not in names


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 5000, -8, -1])
def test_weights_cut_anywhere_are_torn(make: Callable[..., Path], kept: int) -> None:
    weights = make() / "model.safetensors"
    os.truncate(weights, kept if kept >= 0 else weights.stat().st_size + kept)
    assert "cut short" in known(trouble_of(weights.parent)).reason


def test_weights_with_bytes_too_many_are_torn(make: Callable[..., Path]) -> None:
    folder = make()
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(b"\0" * 10)
    assert "cut short" in known(trouble_of(folder)).reason


def test_torch_archives(make: Callable[..., Path]) -> None:
    import torch
    from safetensors.torch import load_file

    folder = make()
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert trouble_of(folder) is None
    os.truncate(folder / "pytorch_model.bin", (folder / "pytorch_model.bin").stat().st_size // 2)
    assert "cut short" in known(trouble_of(folder)).reason


def test_sharded_safetensors(base: Path, make: Callable[..., Path]) -> None:
    from transformers import AutoModelForCausalLM

    folder = make()
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert trouble_of(folder) is None
    assert set(shards) <= set(model_files(folder))
    shards[-1].unlink()
    found = known(trouble_of(folder))
    assert "is missing" in found.reason
    assert not found.lasting


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "trainer_state.json"])
def test_json_cut_short(make: Callable[..., Path], name: str) -> None:
    folder = make()
    os.truncate(folder / name, (folder / name).stat().st_size - 3)
    assert "cut short" in known(trouble_of(folder)).reason


def test_what_is_missing_is_named(make: Callable[..., Path]) -> None:
    folder = make("checkpoint-1")
    (folder / "trainer_state.json").unlink()
    assert "writes last" in known(trouble_of(folder)).reason
    assert trouble_of(make("step_1", None)) is None
    folder = make("checkpoint-2")
    (folder / "tokenizer.json").unlink()
    assert "processing_class" in known(trouble_of(folder)).reason
    assert trouble_of(folder, tokenizer=False) is None
    folder = make("checkpoint-3")
    (folder / "config.json").unlink()
    assert "config.json" in known(trouble_of(folder)).reason
    folder = make("checkpoint-5")
    (folder / "model.safetensors").unlink()
    assert "no weights" in known(trouble_of(folder)).reason


@pytest.mark.parametrize(
    ("shard", "remedy"),
    [
        ("pytorch_model_fsdp_0/__0_0.distcp", "FULL_STATE_DICT"),
        ("pytorch_model_fsdp.bin", "FULL_STATE_DICT"),
        ("global_step4/zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_to_fp32"),
    ],
)
def test_shards_of_a_trainer_are_refused_with_a_remedy(
    make: Callable[..., Path], shard: str, remedy: str
) -> None:
    folder = make()
    (folder / "model.safetensors").unlink()
    (folder / shard).parent.mkdir(exist_ok=True)
    (folder / shard).write_bytes(b"x")
    found = known(trouble_of(folder))
    assert found.lasting
    assert remedy in found.reason


def test_a_second_save_cut_short_over_a_first(make: Callable[..., Path]) -> None:
    folder = make()
    state = (folder / "trainer_state.json").stat().st_mtime_ns
    os.utime(folder / "model.safetensors", ns=(state + 10**9, state + 10**9))
    assert "second save" in known(trouble_of(folder, in_order=True)).reason
    assert trouble_of(folder) is None


def test_folders_by_name_and_order(make: Callable[..., Path]) -> None:
    out = make("checkpoint-10", 10).parent
    make("checkpoint-9", 9)
    make("step_20", None)
    make("epoch-3", None)
    make("final", None)
    make("other", None)
    found = [(one.label, one.step) for one in checkpoints_in(out)]
    assert found == [
        ("checkpoint-9", 9), ("checkpoint-10", 10), ("step_20", 20), ("epoch-3", None),
        ("final", None),
    ]  # fmt: skip
    shutil.copy(out / "final/config.json", out)
    assert checkpoints_in(out)[-1].label == "out"
    assert checkpoints_in(out / "nowhere") == []


def test_the_last_complete_is_what_a_trainer_can_go_on_from(make: Callable[..., Path]) -> None:
    out = make("checkpoint-9", 9).parent
    torn = make("checkpoint-10", 10)
    os.truncate(torn / "model.safetensors", 1000)
    make("step_20", None)
    assert last_complete(out) == out / "checkpoint-9"
    assert last_complete(out / "nowhere") is None


def test_the_signature_follows_weights_and_configuration_alone(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make()
    before = signature(folder)
    (folder / "lineage.json").write_text("[]")
    assert signature(folder) == before
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("config.json", "model.safetensors"):
        os.link(folder / name, linked / name)
    assert signature(linked) == before
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    assert signature(folder) != before
