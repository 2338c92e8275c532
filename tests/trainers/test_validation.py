"""Validation: the loss of rows that are never learned from, by hand, in the log, and exact resuming."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.trainers.on_trl.sft import build_sft
from olmes.trainers.train import train

STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "sft": ("eval_loss", {}),
    "dpo": ("eval_loss", {}),
    "reward": ("eval_loss", {"data": {"dpo.jsonl": {"fraction": 1.0}}}),
    "rlvr": ("eval_reward", {}),
}


@pytest.fixture
def held(workshop: Any) -> Any:
    """The workshop with files of rows that are measured alone: seven, which no batch divides."""
    for name in ("sft", "dpo", "rlvr"):
        lines = (workshop.folder / f"{name}.jsonl").read_text().splitlines()
        (workshop.folder / f"{name}-held.jsonl").write_text("\n".join(lines[:7]) + "\n")
        (workshop.folder / f"{name}.jsonl").write_text("\n".join(lines[7:]) + "\n")
    return workshop


def validation(name: str, **more: Any) -> dict[str, Any]:
    file = "dpo" if name == "reward" else name
    return {"data": {f"{file}-held.jsonl": {"fraction": 1.0}}, **more}


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "stage", [pytest.param(s, marks=[pytest.mark.slow] * (s != "sft")) for s in STAGES]
)
def test_every_stage_measures_and_says_it(held: Any, stage: str, tmp_path: Path) -> None:
    key, more = STAGES[stage]
    table = {"validation": validation(stage, every=3), "checkpoints": {"every": 2}, **more}
    said: list[str] = []
    out = tmp_path / "out"
    train(held.recipe(stage, **table), out, say=said.append)
    measured = {row["step"]: row[key] for row in rows_of(out) if key in row}
    assert list(measured) == [3, 4]
    assert all(math.isfinite(value) for value in measured.values())
    assert sum(key in line for line in said) == 2
    assert json.loads((out / "recipe.json").read_text())["validation"]["rows"] == 7
    assert [row["step"] for row in rows_of(out) if key not in row] == [1, 2, 3, 4]
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for gone in (again / "checkpoint-4", again / "final"):
        shutil.rmtree(gone)
    (again / "done.json").unlink()
    train(held.recipe(stage, **table), again, say=lambda _: None)
    a, b = ((folder / "final/model.safetensors").read_bytes() for folder in (out, again))
    assert a == b
    assert {row["step"]: row[key] for row in rows_of(again) if key in row} == measured


@pytest.mark.parametrize("micro", [1, 2, 8])
def test_the_loss_is_the_mean_over_tokens_however_rows_fall_into_batches(
    held: Any, micro: int
) -> None:
    import torch

    step = {"micro_batch_size": micro}
    trainer = build_sft(held.prepared("sft", validation=validation("sft"), optimization=step))
    found = trainer.evaluate()["eval_loss"]
    summed, tokens = 0.0, 0
    for row in trainer.eval_dataset:
        labels = torch.tensor(row["labels"])
        with torch.no_grad():
            logits = trainer.model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        logps = logits.log_softmax(-1)[torch.arange(len(labels) - 1), labels[1:].clamp(min=0)]
        summed -= float((logps * (labels[1:] != -100)).sum())
        tokens += int((labels[1:] != -100).sum())
    assert found == pytest.approx(summed / tokens, rel=1e-5)


def test_measuring_changes_nothing_that_is_learned(held: Any, tmp_path: Path) -> None:
    finals = []
    for number, table in enumerate(({}, {"validation": validation("sft", every=1)})):
        final = train(held.recipe("sft", **table), tmp_path / str(number), say=lambda _: None)
        finals.append((final / "model.safetensors").read_bytes())
    assert finals[0] == finals[1]


def test_what_cannot_be_measured_is_refused(held: Any) -> None:
    with pytest.raises(OlmesError, match="PPO measures no validation rows"):
        held.recipe("rlvr", algorithm="ppo", validation=validation("rlvr"))
    with pytest.raises(OlmesError, match="give both"):
        held.recipe("sft", validation={"every": 2})
    with pytest.raises(OlmesError, match="give a number above 0"):
        held.recipe("sft", validation=validation("sft", every=0))
    with pytest.raises(OlmesError, match=r"'validation.data..*held.jsonl' has no size"):
        held.recipe("sft", validation={"data": {"sft-held.jsonl": {}}})


def test_rows_that_are_trained_on_too_are_said(held: Any, tmp_path: Path) -> None:
    said: list[str] = []
    table = {"validation": {"data": {"sft.jsonl": {"count": 4}}}, "optimization": {"max_steps": 1}}
    train(held.recipe("sft", **table), tmp_path / "out", say=said.append)
    assert any("is trained on too" in line for line in said)
