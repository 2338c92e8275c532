"""AGIEval: prompts to the byte, verdicts as the reference's, and the honest metric beside them."""

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
from tests.golden import prompt_hash

TASK = load_task("agieval")
DEMO = Path(__file__).parents[2] / "tasks/demo/agieval.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def demo_docs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    return {file.path: rows(shared_data / file.path) for file in TASK.source.files}


def test_golden_prompts(docs: dict[str, list[dict[str, Any]]], shared_reference: Path) -> None:
    golden = rows(shared_reference / "prompts/agi_eval.jsonl.gz")
    assert {row["file"] for row in golden} == {file.path for file in TASK.source.files}
    for row in golden:
        doc = docs[row["file"]][row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]
        asked = row["generation"]
        generation = request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert generation.top_p == asked["top_p"]
        assert list(generation.stop) == asked["stop_sequences"]
        assert generation.n == asked["repeats"]


def test_every_hashed_prompt(docs: dict[str, list[dict[str, Any]]], shared_reference: Path) -> None:
    checked = 0
    for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if row["file"] in docs and row["task"].startswith("agi_eval"):
            found = [
                prompt_hash(TASK.request(docs[row["file"]][doc_id])) for doc_id in row["doc_ids"]
            ]
            assert found == row["sha256_16"]
            checked += len(found)
    assert checked == 884


def test_verdicts_are_the_references(
    docs: dict[str, list[dict[str, Any]]], shared_reference: Path
) -> None:
    recorded = rows(shared_reference / "verdicts/agi_eval.jsonl.gz")
    assert len(recorded) == 1940
    for row in recorded:
        doc = docs[row["file"]][row["doc_id"]]
        found = TASK.score(doc, Response(text=row["response"]))
        assert found.values["exact_match"] == row["reference"]["exact_match"]
        assert (found.extracted or "") == row["extracted"]
        assert TASK.gold(doc) == row["gold"]


def test_extraction_of_templates_is_the_references(shared_reference: Path) -> None:
    recorded = [
        row
        for row in rows(shared_reference / "verdicts/mc_extraction.jsonl.gz")
        if row["task"].startswith("agi_eval")
    ]
    assert len(recorded) == 64
    for row in recorded:
        found = TASK.score(item(label=row["gold"]), Response(text=row["response"]))
        assert (found.extracted or "") == row["extracted"]
        assert found.values["exact_match"] == row["reference"]["exact_match"]


def test_official_data(shared_data: Path) -> None:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    counts = Counter(instance.subtask for instance in data.instances)
    assert counts == {file.subtask: file.rows for file in TASK.source.files}
    assert sum(counts.values()) == 2646


def check_oracle(items: list[dict[str, Any]]) -> None:
    for doc in items:
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


def test_oracle_over_the_whole_data(docs: dict[str, list[dict[str, Any]]]) -> None:
    for items in docs.values():
        check_oracle(items)


def test_sample_covers_what_the_data_has() -> None:
    items = demo_docs()
    check_oracle(items)
    assert len(items) >= 26
    assert {doc["subtask"] for doc in items} == {file.subtask for file in TASK.source.files}
    assert {len(doc["options"]) for doc in items} == {4, 5}
    assert {type(doc["passage"]) for doc in items} == {str, type(None)}
    for label in (r"\([A-E]\)\w", r" [A-E]\. ", r"[A-E] \w"):
        assert any(re.match(label, doc["options"][0]) for doc in items)
    for doc in items:
        text = TASK.request(doc).messages[0]["content"]
        labels = "ABCDE"[: len(doc["options"])]
        assert re.findall(r"^ \(([A-E])\) (?=\S)", text, re.MULTILINE) == list(labels)


# What users of multiple-choice harnesses meet (protocol | lenient), the label being C.
@pytest.mark.parametrize(
    ("text", "protocol", "lenient"),
    [
        ("Therefore, the answer is (C)", 1, 1),
        ("Therefore, the answer is (A).\nNo. Therefore, the answer is (C).", 1, 1),
        ("Therefore, the answer is (C). It is not (A).", 1, 1),
        ("So the answer is C. All others are wrong.", 0, 1),
        ("The answer is (c).", 0, 1),
        ("\\boxed{\\text{C}}. Done.", 0, 1),
        ("**Answer: C**\n\nExplanation: Anna and Ben cannot swim.", 0, 1),
        ("none of them can swim", 0, 1),
        ("C(n, r) = 45. The answer is (n - 1)/2.", 1, 0),
        ("None of this follows. Consider Clara", 1, 0),
        ("Therefore, the answer is (C) or (D)", 1, 0),
        ("Let me think about the case C", 1, 0),
        ("I cannot answer this.", 0, 0),
        ("", 0, 0),
    ],
)
def test_what_counts(text: str, protocol: int, lenient: int) -> None:
    found = TASK.score(item(), Response(text=text))
    assert found.values == {"exact_match": protocol, "exact_match_lenient": lenient}


def test_unparsed_is_what_states_no_one_option() -> None:
    found = TASK.score(item(), Response(text="None of this follows. Consider Clara"))
    assert found.unparsed
    assert found.extracted == "C"
    assert found.note == "states no one option, the protocol reads C"
    assert not TASK.score(item(), Response(text="The answer is (c).")).unparsed


def test_a_key_that_means_another_option_is_said(docs: dict[str, list[dict[str, Any]]]) -> None:
    """In 19 LogiQA items the options stand in the order A, C, B, D; 12 keys are B or C."""
    said: Counter[str] = Counter()
    for path, items in docs.items():
        for doc in items:
            note = TASK.score(doc, TASK.perfect_response(doc)).note
            said[path] += "means the option shown" in note
    assert {path: n for path, n in said.items() if n} == {"agieval/v1/logiqa-en.jsonl.gz": 12}


def test_settings() -> None:
    short = TASK.with_settings({"max_tokens": 8})
    assert short.request(item()).generation.max_tokens == 8
    assert not short.standard
    other = TASK.with_settings({"option": "\n{letter}. {text}"})
    assert "\nB. A kite factory" in other.request(item()).messages[0]["content"]
    bare = TASK.with_settings({"extract": ("X", "X", "X", "[D]")})
    assert bare.score(item(), Response(text="(C) but D")).extracted == "D"


@pytest.mark.parametrize("settings", [{"extract": ("[A-E]",)}, {"letters": "ABCD"}])
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(OlmesError):
        TASK.with_settings(settings)


def test_shots_are_refused() -> None:
    with pytest.raises(OlmesError, match="0 exemplars"):
        TASK.with_settings({"shots": 3}).request(item())


HOSTILE = {
    "closing sentences": "Therefore, the answer is (" * 40_000,
    "statements": "the answer is (A) the answer is " * 20_000,
    "brackets": "(" * 1_000_000,
    "letters": "A " * 500_000,
    "boxes": "\\boxed{" * 100_000,
    "newlines": "\n" * 1_000_000,
    "NUL": "\0 the answer is (C)\0",
    "lone surrogate": "\ud800 the answer is (C).",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_time(name: str) -> None:
    begin = time.process_time()
    TASK.score(item(), Response(text=HOSTILE[name]))
    assert time.process_time() - begin < TASK.time_limit


def item(label: str = "C") -> dict[str, Any]:
    texts = (
        "12 red apples",
        "A kite factory",
        "none of them can swim",
        "the price of copper rose by half",
        "5/6",
    )
    options = [f"({letter}){text}" for letter, text in zip("ABCDE", texts, strict=True)]
    return {"passage": None, "question": "Which?", "options": options, "label": label}
