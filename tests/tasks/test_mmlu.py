"""MMLU: prompts to the byte, the protocol's cascade as the reference's, and the honest metric."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.tools import jsonl
from tests.golden import prompt_hash

TASK = load_task("mmlu")
DEMO = list(jsonl.read(Path(__file__).parents[2] / "tasks/demo/mmlu.jsonl"))


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> list[dict[str, Any]]:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    assert len({one.subtask for one in data.instances}) == 57
    assert len(data.instances) == 14042
    return [one.doc for one in data.instances]


def test_golden_prompts(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    golden = rows(shared_reference / "prompts/mmlu.jsonl.gz")
    assert len(golden) == 171
    for row in golden:
        doc = docs[row["doc_id"]]
        request = TASK.request(doc)
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(doc) == row["gold"]
        assert row["subtask"] == f"mmlu_{TASK.subtask(doc)}:cot::summarize"
        asked, generation = row["generation"], request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert generation.top_p == asked["top_p"]
        assert list(generation.stop) == asked["stop_sequences"]
        assert generation.n == asked["repeats"]


def test_every_hashed_prompt(docs: list[dict[str, Any]], shared_reference: Path) -> None:
    checked = 0
    for row in rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if row["task"] == "mmlu:cot::summarize":
            assert [prompt_hash(TASK.request(docs[doc_id])) for doc_id in row["doc_ids"]] == row[
                "sha256_16"
            ]
            checked += len(row["doc_ids"])
    assert checked == 4701


def test_extraction_is_the_references(shared_reference: Path) -> None:
    recorded = [
        row
        for row in rows(shared_reference / "verdicts/mc_extraction.jsonl.gz")
        if row["task"] == "mmlu:cot::summarize"
    ]
    assert len(recorded) == 365
    for row in recorded:
        found = TASK.score(item(row["gold"]), Response(text=row["response"]))
        assert (found.extracted or "") == row["extracted"]
        assert found.values["exact_match"] == row["reference"]["exact_match"]


def check_oracle(items: list[dict[str, Any]]) -> None:
    for doc in items:
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


def test_oracle(docs: list[dict[str, Any]]) -> None:
    """Of every seventh item here; `olmes check mmlu` takes all of them."""
    check_oracle(docs[::7])


def test_questions_on_one_text_are_one_cluster(docs: list[dict[str, Any]]) -> None:
    clusters = Counter(filter(None, map(TASK.cluster, docs)))
    assert sum(clusters.values()) == 606
    assert len(clusters) == 201
    subjects = Counter(doc["subject"] for doc in docs if TASK.cluster(doc))
    assert set(subjects) == {f"high_school_{one}_history" for one in ("european", "us", "world")}


def test_demo_data() -> None:
    check_oracle(DEMO)
    assert len(DEMO) >= 24
    assert len({doc["subject"] for doc in DEMO}) == 3
    assert {doc["answer"] for doc in DEMO} == set("ABCD")
    assert Counter(filter(None, map(TASK.cluster, DEMO))).most_common()[0][1] == 3


def item(answer: str = "C") -> dict[str, Any]:
    choices = ["a function of time", "no function at all", "a kite", "Dr. Wilson's drug"]
    return {"subject": "econometrics", "question": "Which?", "choices": choices, "answer": answer}


# The protocol and the honest metric, the key being C. Traps 15 of the protocol's checklist among them:
# fallbacks that match in any case, an article for a letter.
@pytest.mark.parametrize(
    ("text", "protocol", "lenient"),
    [
        ("Therefore, the answer is: C", 1, 1),
        ("Therefore, the answer is: C.", 1, 1),
        ("therefore the answer is (C)", 1, 1),
        ("The answer is C because kites fly.", 1, 1),
        ("C is correct.", 1, 1),
        ("(C)", 1, 1),
        ("C", 1, 1),
        ("**C**", 1, 1),
        # The first match counts to the protocol; a response that mends itself means its last word.
        ("Therefore, the answer is: A. Wait, no. Therefore, the answer is: C", 0, 1),
        ("Therefore, the answer is: C. Wait, no. Therefore, the answer is: A", 1, 0),
        # Trap 15: an article after "answer is".
        ("The answer is a kite.", 0, 1),
        ("The answer is a bird of prey, and so it is option C.\n\nTherefore, I choose (C).", 0, 1),
        # Trap 15: a stand-alone article; the last letter of the first line that has any.
        ("A kite is what remains.\nC", 0, 1),
        ("A kite flies, as vitamin C does not", 1, 0),
        ("It could be A, B or C", 1, 0),
        ("Therefore, the answer is: C or D", 1, 0),
        ("a kite", 0, 1),
        (r"\boxed{C}", 1, 1),
        ("None of them.", 0, 0),
        ("I do not know.", 0, 0),
        ("", 0, 0),
    ],
)
def test_what_counts(text: str, protocol: int, lenient: int) -> None:
    found = TASK.score(item(), Response(text=text))
    assert found.values == {"exact_match": protocol, "exact_match_lenient": lenient}


# Trap 15 the other way: what the protocol takes for an answer though nothing is said, the key being A.
@pytest.mark.parametrize(
    "text",
    [
        "The answer is a matter of taste.",
        "The correct answer is a mixture of the above, and I cannot choose one.",
        "This is a hard question. A full analysis would take a while.",
        "A model of this kind says nothing.",
    ],
)
def test_articles_are_no_answers(text: str) -> None:
    found = TASK.score(item("A"), Response(text=text))
    assert found.values["exact_match"] == 1
    assert found.values["exact_match_lenient"] == 0
    assert found.unparsed
    assert found.note == "states no one option, the protocol reads A"


def test_flags_and_votes() -> None:
    closed = TASK.score(item(), Response(text="Therefore, the answer is: c"))
    assert (closed.extracted, closed.unparsed, closed.misformatted) == ("C", False, False)
    short = TASK.score(item(), Response(text="(C)"))
    assert (short.extracted, short.unparsed, short.misformatted) == ("C", False, True)
    none = TASK.score(item(), Response(text="?"))
    assert (none.extracted, none.unparsed, none.misformatted) == (None, True, True)
    assert TASK.vote(closed.extracted) == TASK.vote(short.extracted) == "C"
    assert TASK.vote(none.extracted) is None


def test_a_row_of_the_hub_is_a_row_of_the_file() -> None:
    assert TASK.source.from_hub({**item(), "answer": 2}) == item()
    assert [split.config for split in TASK.source.hub][:2] == ["abstract_algebra", "anatomy"]


def test_settings() -> None:
    other = TASK.with_settings({"option": "\n({letter}) {choice}", "max_tokens": 8})
    assert "\n(C) a kite" in other.request(item()).messages[0]["content"]
    bare = TASK.with_settings({"extract": ("X", "X", "X", "X", "[D]")})
    assert bare.score(item(), Response(text="(C) but D")).extracted == "D"
    with pytest.raises(OlmesError, match="takes five patterns"):
        TASK.with_settings({"extract": ("[A-D]",)})
    with pytest.raises(OlmesError, match="0 exemplars"):
        TASK.with_settings({"shots": 5}).request(item())


HOSTILE = {
    "closing sentences": "Therefore, the answer is: (" * 10_000,
    "blanks": "answer" + " " * 200_000,
    "letters in words": "ABCD" * 50_000,
    "letters": "A " * 100_000,
    "called right": "a) " * 60_000,
    "newlines": "\n" * 200_000,
    "lone surrogate": "\ud800 the answer is (C).",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_time(name: str) -> None:
    begin = time.process_time()
    TASK.score(item(), Response(text=HOSTILE[name]))
    assert time.process_time() - begin < TASK.time_limit
