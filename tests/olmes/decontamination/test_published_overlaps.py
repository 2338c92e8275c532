"""The published overlaps as data, and ours beside them on planted sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olmes.benchmark.registry import load_task, task_names
from olmes.decontamination.published_overlaps import published_overlaps, set_of
from olmes.tools import jsonl
from tests.olmes.decontamination.conftest import Bench, Command, plain


def test_the_table_has_the_papers_pairs() -> None:
    table = published_overlaps()
    assert sum(len(one.overlaps) for one in table.sets.values()) == 22
    # Table 37 has what is above 5 percent; each is of an evaluation that is known here.
    for one in table.sets.values():
        assert all(number > 5 for number in one.overlaps.values())
        assert set(one.overlaps) <= set(table.evaluations)
    assert sorted(one.removed for one in table.sets.values() if one.removed) == [
        0.7, 1.1, 3.5, 5.4, 11.3,
    ]  # fmt: skip
    assert {one.task for one in table.evaluations.values()} <= set(task_names())
    safety = {split.subtask for split in load_task("safety").source.hub}
    assert {one.subtask for one in table.evaluations.values() if one.subtask} <= safety


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("data/evol-codealpaca-v1.jsonl", "Evol CodeAlpaca"),
        ("Evol_CodeAlpaca.parquet", "Evol CodeAlpaca"),
        ("lmsys/lmsys-chat-1m", "LMSys-1M"),
        ("sets/lmsys-chat-1m/train.jsonl.gz", "LMSys-1M"),
        ("wildguardmix.jsonl", "WildGuardMix"),
        ("mine.jsonl", ""),
    ],
)
def test_a_set_is_known_by_its_name(name: str, title: str) -> None:
    assert set_of(name, published_overlaps().sets) == title


@pytest.fixture
def problems(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Eight problems in place of GSM8K's, and no cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(bench.folder / "hub"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(bench.folder / "sets"))
    asked = [f"A baker has {n} {n}0 {n}1 {n}2 {n}3 {n}4 {n}5 loaves. How many?" for n in range(8)]
    (bench.data / "gsm8k").mkdir()
    rows = [{"question": one, "answer": "#### 1"} for one in asked]
    jsonl.write(bench.data / "gsm8k/test.jsonl", rows)
    return asked


def test_ours_stands_beside_the_published_where_a_set_is_here(
    bench: Bench, decontaminate: Command, problems: list[str]
) -> None:
    data = bench.train("lmsys-chat-1m.jsonl", [*problems[:2], *map(plain, range(6))])
    found = json.loads(decontaminate(data, "--check-published", "--json").stdout)["published"]
    assert len(found) == 22 + 5
    [own] = [one for one in found if one["ours"] is not None]
    assert (own["training_set"], own["evaluation"]) == ("LMSys-1M", "GSM8K")
    assert (own["published"], own["ours"], own["n"]) == (8.9, 25.0, 8)
    why = {one["why_missing"] for one in found if one["training_set"] != "LMSys-1M"}
    assert why == {"not here"}
    # Demo items are no evaluation of the paper's.
    [mmlu] = [one for one in found if one["evaluation"] == "MMLU"]
    assert mmlu["why_missing"] == "the evaluation has no real data here"
    printed = decontaminate(data, "--check-published").stdout
    assert printed.count("not here") == 26
    assert "25.0" in printed


def test_without_a_set_there_are_the_published_numbers(
    decontaminate: Command, problems: list[str]
) -> None:
    printed = decontaminate("--check-published").stdout
    assert len(problems) == 8
    assert printed.count("not here") == 27
    assert "90.3" in printed
    assert not Path("runs").exists()
