"""A whole run on real models: the cache, the journal, and the record they leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import Record, evaluate
from olmes.models.hf.model import HFModel
from olmes.records.schema import ResponseRow
from tests.known import known

if TYPE_CHECKING:
    from olmes.models.base import Done
    from olmes.types import Request

SHORT = {"gsm8k.shots": 1, "gsm8k.max_tokens": 12}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each call to a model's `generate` was given."""
    calls: list[int] = []
    generate = HFModel.generate

    def counting(self: HFModel, requests: Sequence[Request], done: Done) -> None:
        calls.append(len(requests))
        generate(self, requests, done)

    monkeypatch.setattr(HFModel, "generate", counting)
    return calls


def rows(record: Record) -> list[ResponseRow]:
    return list(record.samples("gsm8k"))


def test_the_cache_serves_a_model_and_never_another(
    tiny_folder: Path, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    other = tmp_path / "other"
    weights = AutoModelForCausalLM.from_pretrained(tiny_folder)
    with torch.no_grad():
        weights.get_output_embeddings().weight.mul_(-1)
    weights.save_pretrained(other)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(other)

    def run(model: Path, name: str, **options: Any) -> Record:
        return evaluate(
            "gsm8k",
            model=str(model),
            settings=SHORT,
            out=tmp_path / name,
            scoring_processes=1,
            **options,
        )

    first = run(tiny_folder, "a", limit=4)
    assert counted == [4]
    again = run(tiny_folder, "b", limit=4)
    assert counted == [4], "the same requests were asked again"
    assert rows(again) == rows(first)
    run(tiny_folder, "c", limit=6)
    assert counted == [4, 2], "a larger limit asks only for what is new"
    different = run(other, "a", limit=4)
    assert counted == [4, 2, 4], "another model's answers came from the cache"
    assert different.run.model.fingerprint != first.run.model.fingerprint
    assert different.folder != first.folder
    run(tiny_folder, "d", limit=4, use_cache=False)
    assert counted == [4, 2, 4, 4]


def test_a_copy_of_a_model_elsewhere_is_the_same_model(
    tiny_folder: Path, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder, copy)
    for model, name in ((tiny_folder, "a"), (copy, "b")):
        evaluate(
            "gsm8k",
            model=str(model),
            settings=SHORT,
            out=tmp_path / name,
            limit=2,
            scoring_processes=1,
        )
    assert counted == [2]


@pytest.mark.model
def test_the_embedded_model_answers_the_dev_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    settings = {
        "gsm8k.shots": 2, "gsm8k.max_tokens": 24, "math.shots": 1, "math.max_tokens": 24,
        "ifeval.max_tokens": 24,
    }  # fmt: skip
    record = evaluate(
        "dev",
        model="smollm2",
        settings=settings,
        limit=1,
        out=tmp_path,
        scoring_processes=1,
        use_cache=False,
    )
    assert record.complete
    assert set(record.tasks) == {"gsm8k", "math", "ifeval"}
    assert known(record.run.suite).n == 3
    for name in record.tasks:
        [row] = record.samples(name)
        response = known(row["response"])
        assert response["completion_tokens"] > 0
        assert response["text"].strip()
    data = json.loads((record.folder / "run.json").read_text("utf-8"))
    assert data["model"]["engine"]["dtype"] == "float32"
