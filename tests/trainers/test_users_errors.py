"""What a user can mend is one sentence with the remedy, and never said to be a fault of ours."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.stage import prepare
from olmes.trainers.train import train
from tests.trainers.conftest import Workshop


@pytest.fixture
def unread(workshop: Workshop) -> Workshop:
    """The workshop, whose data would be refused if they were read."""
    for name in ("sft", "rlvr"):
        (workshop.folder / f"{name}.jsonl").write_text("not a row\n", "utf-8")
    return workshop


@pytest.mark.parametrize(
    ("scoring", "words"),
    [
        ({"suite": "nowhere"}, "nowhere"),
        ({"tasks": ["nothing"]}, "nothing"),
        ({"suite": "dev", "options": {"wher": "pause"}}, "no 'wher'; did you mean 'where'"),
        ({"suite": "dev", "options": {"where": "pauze"}}, "where='pauze' is unknown"),
        ({"suite": "dev", "options": {"retries": "many"}}, "retries"),
        ({"suite": "dev", "settings": {"gsm8k.shotz": 1}}, "shotz"),
        ({"suite": "unseen"}, r"`reason` and `final` of \[scoring.options\], and a chain has"),
        ({"suite": "unseen", "options": {"reason": "x"}}, r"final=True; in a recipe"),
    ],
)
def test_scoring_is_checked_before_data_are_read(
    unread: Workshop, tmp_path: Path, scoring: dict[str, Any], words: str
) -> None:
    recipe = unread.recipe("sft", scoring=scoring)
    with pytest.raises(OlmesError, match=words) as refused:
        prepare(recipe, tmp_path / "out", say=lambda _: None)
    assert "--reason" not in str(refused.value)


@pytest.mark.parametrize("engine", ["colocate", "server"])
def test_vllm_that_is_missing_is_said_before_data_are_read(
    unread: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "vllm" else found(name, *more),
    )
    with pytest.raises(OlmesError, match="vLLM is not installed.*pip install"):
        train(unread.recipe("rlvr", vllm=engine), tmp_path / "out", say=lambda _: None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for one checkpoint and a half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_is_whole_is_gone_on_from(
    workshop: Workshop, small_disk: Path
) -> None:
    recipe = workshop.recipe("sft", checkpoints={"every": 1})
    out = small_disk / "out"
    with pytest.raises(OlmesError, match="no space is left on the disk of .* make room"):
        train(recipe, out, say=lambda _: None)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    said: list[str] = []
    train(recipe, out, say=said.append)
    assert "resumes from checkpoint-1" in said


def test_an_adapter_of_prompts_is_refused_once(workshop: Workshop, tmp_path: Path) -> None:
    from peft import PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from olmes.models.checkpoint.merging import UnmergeableError, merge

    base = AutoModelForCausalLM.from_pretrained(workshop.model)
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    adapter = tmp_path / "adapter"
    get_peft_model(base, config).save_pretrained(str(adapter))
    assert json.loads((adapter / "adapter_config.json").read_text())["peft_type"] == "PROMPT_TUNING"
    with pytest.raises(UnmergeableError, match="is a PROMPT_TUNING, which cannot be merged"):
        merge(adapter, workshop.model, tmp_path / "merged")
