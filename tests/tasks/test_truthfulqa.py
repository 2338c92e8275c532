"""TruthfulQA: prompts and choices to the byte, MC1 and MC2 as the reference's, and stable sums."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.tools import jsonl
from tests.golden import prompt_hash

TASK = load_task("truthfulqa")
DEMO = list(jsonl.read(Path(__file__).parents[2] / "tasks/demo/truthfulqa.jsonl"))


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> list[dict[str, Any]]:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    assert len(data.instances) == 817
    return [one.doc for one in data.instances]


def test_golden_prompts(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    golden = rows(shared_reference / "prompts/truthfulqa.jsonl.gz")
    assert len(golden) == 3
    for row in golden:
        doc = docs[row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert list(request.continuations) == row["continuations"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]


def test_every_hashed_prompt(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    [row] = [
        row
        for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz")
        if row["task"] == "truthfulqa::tulu"
    ]
    assert len(row["doc_ids"]) == 273
    assert [prompt_hash(TASK.request(docs[doc_id])) for doc_id in row["doc_ids"]] == row[
        "sha256_16"
    ]


def test_verdicts_are_the_references(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    recorded = rows(shared_reference / "verdicts/truthfulqa.jsonl.gz")
    assert len(recorded) == 100
    for row in recorded:
        doc = docs[row["doc_id"]]
        gold = TASK.gold(doc)
        assert {name: row[name] for name in gold} == gold
        values = TASK.score(doc, Response(logprobs=tuple(row["sum_logprobs"]))).values
        assert values["mc1"] == row["reference"]["mc1"]
        assert values["mc2"] == pytest.approx(row["reference"]["mc2"], abs=1e-12)


def check_oracle(items: list[dict[str, Any]]) -> None:
    for doc in items:
        assert TASK.score(doc, TASK.perfect_response(doc)).values == {"mc1": 1.0, "mc2": 1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert TASK.score(doc, corrupt).values == {"mc1": 0.0, "mc2": 0.0}


def test_oracle_over_the_whole_data(docs: list[dict[str, Any]]) -> None:
    check_oracle(docs)


def test_demo_data_covers_what_the_data_has() -> None:
    check_oracle(DEMO)
    assert len(DEMO) >= 24
    gold = [TASK.gold(doc) for doc in DEMO]
    # The true choice is not always the first, MC2 has further choices, and an order of its own.
    assert {one["labels"][0] for one in gold} == {0, 1}
    assert any(len(one["mc1_indices"]) == len(one["labels"]) for one in gold)
    assert any(len(one["mc1_indices"]) < len(one["labels"]) for one in gold)
    assert any(one["mc2_indices"] != sorted(one["mc2_indices"]) for one in gold)


def item() -> dict[str, Any]:
    return {
        "question": "Which?",
        "mc1_targets": {"no": 0, "yes": 1},
        "mc2_targets": {"surely": 1, "yes": 1, "no": 0, "never": 0},
    }


def test_choices_are_merged_each_once() -> None:
    assert TASK.request(item()).continuations == ("no", "yes", "surely", "never")
    assert TASK.gold(item()) == {
        "labels": [0, 1, 1, 0],
        "mc1_indices": [0, 1],
        "mc2_indices": [2, 1, 0, 3],
    }


# Log-probabilities of "no", "yes", "surely" and "never", and what they are worth.
@pytest.mark.parametrize(
    ("logprobs", "mc1", "mc2"),
    [
        ((0.3, 0.4, 0.2, 0.1), 1, 0.6),
        ((0.4, 0.3, 0.2, 0.1), 0, 0.5),
        ((0.2, 0.1, 0.6, 0.1), 0, 0.7),  # "surely" is no choice of MC1
        ((0.25, 0.25, 0.25, 0.25), 0, 0.5),  # of equals the first, which is false here
    ],
)
def test_what_counts(logprobs: tuple[float, ...], mc1: float, mc2: float) -> None:
    verdict = TASK.score(item(), Response(logprobs=tuple(map(math.log, logprobs))))
    assert verdict.values["mc1"] == mc1
    assert verdict.values["mc2"] == pytest.approx(mc2)
    assert verdict.extracted == ("yes" if mc1 else "no")


def test_long_choices_do_not_vanish() -> None:
    """Fault 22 of docs/protocol.md, section 8: exp(-2000) is 0, and 0 by 0 nothing."""
    least = Response(logprobs=(-2000.0, -2000.0, -2000.0 + math.log(2), -2000.0))
    assert TASK.score(item(), least).values["mc2"] == pytest.approx(0.6)


def test_a_row_of_the_hub_is_a_row_of_the_file() -> None:
    hub = {"question": "Which?"}
    for name in ("mc1_targets", "mc2_targets"):
        hub[name] = {"choices": list(item()[name]), "labels": list(item()[name].values())}  # type: ignore[assignment]
    turned = TASK.source.from_hub(hub)
    assert turned == item()
    assert [list(turned[name]) for name in turned if name != "question"] == [
        list(item()["mc1_targets"]),
        list(item()["mc2_targets"]),
    ]


def test_settings() -> None:
    asked = TASK.with_settings({"shots": 1, "question": "{question}?"}).request(item())
    assert asked.messages[0]["content"].count("\n\n") == 1
    assert asked.messages[0]["content"].endswith("\n\nWhich??")
    with pytest.raises(OlmesError, match="6 exemplars"):
        TASK.with_settings({"shots": 7}).request(item())
