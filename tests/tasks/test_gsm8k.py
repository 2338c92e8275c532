"""GSM8K: prompts to the byte, verdicts as the reference's, and the honest metric beside them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.scoring.numbers import PROTOCOL_NUMBER, THOUSANDS, last_number

TASK = load_task("gsm8k")


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def demo_docs() -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "tasks/demo/gsm8k.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def verdict(text: str, answer: str) -> dict[str, Any]:
    return TASK.score({"question": "", "answer": f"#### {answer}"}, Response(text=text)).values


def test_verdicts_are_the_references(shared_data: Path, shared_reference: Path) -> None:
    docs = rows(shared_data / "gsm8k/test.jsonl.gz")
    recorded = rows(shared_reference / "verdicts/gsm8k.jsonl.gz")
    assert len(recorded) == 3430
    for row in recorded:
        doc = docs[row["doc_id"]] if "doc_id" in row else {"answer": row["gold_raw"]}
        found = TASK.score(doc, Response(text=row["response"]))
        assert found.values["exact_match"] == row["reference"]["exact_match"]
        assert (found.extracted or row["response"]) == row["extracted"]
        assert TASK.gold(doc) == row["gold"]


def test_the_last_number_is_that_of_the_whole_text() -> None:
    """The reference looks through the whole text; ours through words from the end."""
    draw = random.Random(18)
    for _ in range(20_000):
        text = "".join(
            draw.choice("0123456789\u0663,.+-  \n\u2028\xa0\x1cab$")
            for _ in range(draw.randrange(25))
        )
        found = PROTOCOL_NUMBER.findall(THOUSANDS.sub(r"\1\2", text))
        assert last_number(text) == (found[-1] if found else None), repr(text)


def test_oracle_over_the_whole_data(shared_data: Path) -> None:
    for doc in rows(shared_data / "gsm8k/test.jsonl.gz"):
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


def test_oracle_over_the_demo_data() -> None:
    assert len(demo_docs()) >= 24
    for doc in demo_docs():
        assert set(TASK.score(doc, TASK.perfect_response(doc)).values.values()) == {1.0}
        corrupt = TASK.perfect_response(doc, corrupt=True)
        assert set(TASK.score(doc, corrupt).values.values()) == {0.0}


# What users of other harnesses found: commas, decimals, units, signs, boxes (protocol | honest).
@pytest.mark.parametrize(
    ("text", "answer", "protocol", "honest"),
    [
        ("So the answer is 18.", "18", 1, 1),
        ("So the answer is 18.0.", "18", 0, 1),
        ("So the answer is 18.00", "18", 0, 1),
        ("That makes $1,234 in all.", "1,234", 1, 1),
        ("#### 1,250,000", "1250000", 1, 1),
        ("So the answer is -5.", "5", 1, 0),
        ("So the answer is -5.", "-5", 1, 1),
        ("So the answer is 5.", "-5", 1, 0),
        ("He has 16 - 3 = 13 and 13-4=9", "9", 1, 1),
        ("It leaves 13-4=9", "9", 1, 1),
        ("It leaves 13-4", "4", 1, 0),
        ("So the answer is 5 dollars in 2 days.", "5", 0, 1),
        ("The answer is 2 * 9 = 18 dollars.", "18", 1, 1),
        ("The answer is $\\boxed{72}$. That took 3 steps.", "72", 0, 1),
        ("The answer is 60%.", "60", 1, 1),
        ("The answer is 3/4", "4", 1, 0),
        ("The answer is -$40", "-40", 1, 1),
        ("The answer is $-40", "-40", 1, 1),
        ("The answer is .50", "0.5", 0, 1),
        ("The answer is 007", "7", 0, 1),
        ("no number at all", "7", 0, 0),
        ("", "7", 0, 0),
        ("1/0", "0", 1, 0),
        ("The answer is " + "9" * 5000, "9", 0, 0),
    ],
)
def test_what_counts(text: str, answer: str, protocol: int, honest: int) -> None:
    assert verdict(text, answer) == {"exact_match": protocol, "exact_match_numeric": honest}


def test_text_without_a_number_is_unparsed() -> None:
    found = TASK.score({"answer": "#### 3"}, Response(text="I cannot tell."))
    assert found.unparsed
    assert found.extracted is None


HOSTILE = {
    "digits": "9" * 1_000_000,
    "brackets": "[" * 1_000_000,
    "NUL": "\0",
    "lone surrogate": "\ud800 5",
    "commas": "1," * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged(name: str) -> None:
    text = HOSTILE[name]
    found = TASK.score({"answer": "#### 3"}, Response(text=text))
    assert found.values == TASK.wrong_values({"answer": "#### 3"})
