"""MMLU-Pro: prompts to the byte, verdicts as the reference's, and the honest metric beside them."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.scoring.choices.letter import first_match
from tests.golden import prompt_hash

TASK: Any = load_task("mmlu_pro")
DEMO = Path(__file__).parents[2] / "tasks/demo/mmlu_pro.jsonl"
FILE = "mmlu_pro/test.jsonl.gz"
OUTPUTS = "mmlu_pro/outputs/Llama-2-7b-hf_5shots.jsonl.gz"


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> list[dict[str, Any]]:
    return rows(shared_data / FILE)


@pytest.fixture(scope="module")
def outputs(shared_data: Path) -> list[dict[str, Any]]:
    return rows(shared_data / OUTPUTS)


def item(key: str = "C") -> dict[str, Any]:
    texts = ["12 red apples", "A kite factory", "none of them can swim", "the price of copper", "5"]
    texts += ["a long way home", "the river Po", "20 m/s", "no change", "all that is left"]
    return {"question": "Which?", "options": texts, "answer": key, "category": "other"}


def test_golden_prompts(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    golden = rows(shared_reference / "prompts/mmlu_pro.jsonl.gz")
    assert len({row["subtask"] for row in golden}) == 14
    for row in golden:
        doc = docs[row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]
        assert row["subtask"] == f"mmlu_pro_{TASK.subtask(doc)}:0shot_cot::tulu3"
        asked = row["generation"]
        generation = request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert generation.top_p == asked["top_p"]
        assert list(generation.stop) == asked["stop_sequences"]
        assert generation.n == asked["repeats"]


def test_every_hashed_prompt(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    checked = 0
    for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if row["task"].startswith("mmlu_pro:"):
            assert [prompt_hash(TASK.request(docs[doc_id])) for doc_id in row["doc_ids"]] == row[
                "sha256_16"
            ]
            checked += len(row["doc_ids"])
    assert checked == 4014


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_verdicts_are_the_references(
    every: int, docs: list[dict[str, Any]], outputs: list[dict[str, Any]], shared_reference: Path
) -> None:
    recorded = rows(shared_reference / "verdicts/mmlu_pro.jsonl.gz")
    assert len(recorded) == 6016
    for row in recorded[::every]:
        doc, text = docs[row["doc_id"]], outputs[row["source"]["row"]]["generated_text"]
        found = TASK.score(doc, Response(text=text))
        assert found.values["exact_match"] == row["reference"]["exact_match"]
        assert (found.extracted or "") == row["extracted"]
        assert TASK.gold(doc) == row["gold"]


def test_extraction_of_templates_is_the_references(shared_reference: Path) -> None:
    recorded = [
        row
        for row in rows(shared_reference / "verdicts/mc_extraction.jsonl.gz")
        if row["task"].startswith("mmlu_pro:")
    ]
    assert len(recorded) == 64
    for row in recorded:
        found = TASK.score(item(row["gold"]), Response(text=row["response"]))
        assert (found.extracted or "") == row["extracted"]
        assert found.values["exact_match"] == row["reference"]["exact_match"]


@pytest.mark.slow
def test_the_publishers_predictions(
    docs: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> None:
    """Its rule, which is lm-eval's too, gives each of them; the protocol's letter is mostly the same.

    It is the same on all that the rule reads but two; where the rule finds nothing, the protocol goes
    on to its fallbacks: hence the other 472.
    """
    same: Counter[tuple[bool, bool]] = Counter()
    right = 0.0
    for doc, output in zip(docs, outputs, strict=True):
        text, published = output["generated_text"], output["pred"]
        assert first_match(r"answer is \(?([ABCDEFGHIJ])\)?", text) == published
        verdict = TASK.score(doc, Response(text=text))
        same[published is None, TASK.vote(verdict.extracted) == published] += 1
        value = verdict.values["exact_match"]
        assert isinstance(value, float)
        right += value
    assert sum(same.values()) == 12_032
    assert same[False, True] + same[True, True] == 11_558
    assert same[False, False] == 2
    assert right == 2_257


def test_official_data(shared_data: Path) -> None:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    assert not data.gated
    counts = Counter(instance.subtask for instance in data.instances)
    assert len(counts) == 14
    assert sum(counts.values()) == 12_032
    assert (counts["math"], counts["law"]) == (1351, 1101)


def check_oracle(items: list[dict[str, Any]]) -> None:
    for doc in items:
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


def test_oracle_over_the_data(docs: list[dict[str, Any]]) -> None:
    check_oracle(docs[::9])
    check_oracle([doc for doc in docs if len(doc["options"]) < 4])


def test_sample_covers_what_the_data_has() -> None:
    items = [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]
    check_oracle(items)
    assert len(items) >= 24
    assert len({doc["category"] for doc in items}) == 14
    assert {len(doc["options"]) for doc in items} == set(range(3, 11))
    for doc in items:
        assert doc["answer"] == "ABCDEFGHIJ"[doc["answer_index"]]
        assert len(set(doc["options"])) == len(doc["options"])
        text = TASK.request(doc).messages[0]["content"]
        labels = "ABCDEFGHIJ"[: len(doc["options"])]
        assert re.findall(r"^ \(([A-J])\) (?=\S)", text, re.MULTILINE) == list(labels)


# The key is C. Trap 15 of the protocol's list: the fallbacks are case-insensitive and know no words.
@pytest.mark.parametrize(
    ("text", "extracted", "protocol", "lenient"),
    [
        ("Therefore, the answer is (C)", "C", 1, 1),
        ("Therefore, the answer is (A).\nNo. Therefore, the answer is (C).", "C", 1, 1),
        ("Therefore, the answer is (C). It is not (A).", "C", 1, 1),
        ("The answer is c, as I said", "c", 1, 0),  # an article would read the same
        ("The answer is clear to everybody who swims", "c", 1, 0),
        ("The answer is because of A. C. Clarke", "b", 0, 0),
        ("The answer is a matter of taste. It is (C).", "a", 0, 1),
        ("The answer is (B). On a second look, the answer is (C).", "B", 0, 1),
        ("Answer: C", "C", 1, 1),
        ("Answer: A or Answer: C\nAnswer: B", "C", 1, 0),
        ("Answer:\n\nC", "C", 1, 1),
        ("Answer: Answer: C", "C", 1, 1),
        ("It has to be C, not D or E", "E", 0, 0),
        ("none of them can swim", None, 0, 1),
        ("I do not know", "I", 0, 0),
        ("", None, 0, 0),
    ],
)
def test_what_counts(text: str, extracted: str | None, protocol: int, lenient: int) -> None:
    found = TASK.score(item(), Response(text=text))
    assert found.extracted == extracted
    assert found.values == {"exact_match": protocol, "exact_match_lenient": lenient}


def test_votes_are_letters() -> None:
    assert TASK.vote("c") == TASK.vote("C") == "C"
    assert TASK.vote("") is None


def test_what_is_said_beside_the_values() -> None:
    found = TASK.score(item(), Response(text="The answer is clear"))
    assert found.unparsed
    assert found.misformatted
    assert found.note == "states no one option, the protocol reads c"
    found = TASK.score(item(), Response(text="Therefore, the answer is (C)."))
    assert (found.unparsed, found.misformatted, found.note) == (False, False, "")


def test_one_option_has_a_wrong_answer_too() -> None:
    """Five items of the official file have a single option."""
    check_oracle([{"question": "Which?", "options": ["this"], "answer": "A", "category": "law"}])


def test_settings() -> None:
    other = TASK.with_settings({"option": "\n{letter}. {text}"})
    assert "\nB. A kite factory" in other.request(item()).messages[0]["content"]
    with pytest.raises(OlmesError, match="give four"):
        TASK.with_settings({"extract": ("[A-J]",)})
    with pytest.raises(OlmesError, match="0 exemplars"):
        TASK.with_settings({"shots": 5}).request(item())


HOSTILE = {
    "statements": "answer is (" * 80_000,
    "labels": "Answer:" * 100_000 + "\n" * 100_000,
    "one long line": "x" * 1_000_000,
    "lone surrogate": "\ud800 the answer is (C).",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_time(name: str) -> None:
    begin = time.process_time()
    TASK.score(item(), Response(text=HOSTILE[name]))
    assert time.process_time() - begin < TASK.time_limit
