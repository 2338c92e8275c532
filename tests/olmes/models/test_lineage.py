"""What a checkpoint's files say of where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes.models.checkpoint.folder import HubCheckpoint, LocalCheckpoint
from olmes.models.checkpoint.lineage import family, lineage, training_step
from olmes.models.hf.model import HFModel
from olmes.models.replay import ReplayModel


def local(folder: Path, **files: Any) -> HFModel:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return HFModel(str(folder), LocalCheckpoint(folder))


@pytest.mark.parametrize(
    ("place", "name", "step"),
    [
        ("sft-8b/checkpoint-500", "sft-8b", 500),
        ("sft-8b/step_20", "sft-8b", 20),
        ("rl/global_step_7", "rl", 7),
        ("dpo/epoch-2", "dpo", 2),
        ("dpo/final", "dpo", None),
        ("ppo/global_step20_hf", "ppo", 20),
        ("mcore/iter_0000010", "mcore", 10),
        ("lit/epoch=1-step=100", "lit", 100),
        ("nano/20", "nano", 20),
        ("out/run-a-step-20-merged", "out-run-a", 20),
        ("models/my-model-final", "my-model-final", None),
        ("tulu-3-8b", "tulu-3-8b", None),
        ("step-by-step-model", "step-by-step-model", None),
    ],
)
def test_checkpoints_of_one_training_are_one_family(
    tmp_path: Path, place: str, name: str, step: int | None
) -> None:
    model = local(tmp_path / place)
    assert family(model) == name
    assert training_step(model) == step


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("allenai/Llama-3.1-Tulu-3-8B", "allenai/Llama-3.1-Tulu-3-8B"),
        ("openai:smollm2@http://127.0.0.1:8000/v1", "smollm2"),
    ],
)
def test_other_models_are_families_of_their_own(name: str, expected: str) -> None:
    assert family(HFModel(name, HubCheckpoint("owner/name"))) == expected


def test_a_recording_is_named_by_its_file(tmp_path: Path) -> None:
    said = tmp_path / "said.jsonl"
    said.write_text('{"doc_id": 0, "response": "x"}\n')
    assert family(ReplayModel("replay:said.jsonl", said)) == "said.jsonl"


def test_lineage_is_read_from_what_trainers_write(tmp_path: Path) -> None:
    folder = tmp_path / "lora/checkpoint-40"
    model = local(
        folder,
        adapter_config={"base_model_name_or_path": "owner/base"},
        trainer_state={"global_step": 40},
    )
    assert lineage(model) == [{"base": "owner/base"}, {"training": "lora", "step": 40}]
    assert training_step(model) == 40
    # Our own trainers say it all.
    steps = [{"base": "owner/base"}, {"training": "sft", "step": 9}, {"training": "dpo", "step": 3}]
    assert lineage(local(folder, lineage=steps)) == steps
    assert training_step(local(folder, lineage=steps)) == 3


def test_damaged_files_say_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    model = local(folder, lineage={"not": "a list"}, config=[1])
    (folder / "adapter_config.json").write_text("{")
    (folder / "trainer_state.json").write_bytes(b"\xff\xfe")
    assert lineage(model) == []
    assert training_step(model) is None
