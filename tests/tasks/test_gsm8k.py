"""GSM8K: prompts to the byte, verdicts as the reference's, and the honest metric beside them."""

from __future__ import annotations

import gzip
import json
import random
import time
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


def test_a_label_in_front_of_the_work_states_nothing(
    shared_data: Path, shared_reference: Path
) -> None:
    """ "Answer: " is what the prefill puts there, or a model that was not given it."""
    docs = rows(shared_data / "gsm8k/test.jsonl.gz")
    for row in rows(shared_reference / "verdicts/gsm8k.jsonl.gz"):
        doc = docs[row["doc_id"]] if "doc_id" in row else {"answer": row["gold_raw"]}
        plain, labelled = (
            TASK.score(doc, Response(text=front + row["response"])).values
            for front in ("", "Answer: ")
        )
        assert plain == labelled, row["response"]


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
        # A label in front of the work, a taken-back answer, a question of the model's own.
        ("Answer: She has 3 + 4 = 7 on Monday. She has 7 + 2 = 9 on Friday.", "9", 1, 1),
        ("**Answer:** After 3 days, 5 eggs are left.", "5", 1, 1),
        ("The answer is that after 3 days she has 5 eggs.", "5", 1, 1),
        ("Answer: 9\n\nExplanation: 3 + 4 = 7, 7 + 2 = 9, and 9 - 9 = 0.", "9", 0, 1),
        ("The answer is 8? No, she has 9.", "9", 1, 1),
        ("So the answer is 5.\n\nQuestion: What is 2 + 2?\nAnswer: 4", "5", 0, 1),
        ("She makes **$18** in 7 days.", "18", 0, 1),
        ("She makes $18 in 7 days.", "18", 0, 1),
        # LaTeX in the number, and a formula that goes on.
        (r"So it is $\boxed{70{,}000}$", "70000", 0, 1),
        (r"The answer is $70,\!000$.", "70000", 0, 1),
        ("The answer is 70\u202f000.", "70000", 0, 1),
        ("The answer is 70 thousand.", "70000", 0, 1),
        (r"The answer is $18 \times \frac{1}{2} = 9$.", "9", 1, 1),
        (r"The answer is $\text{half of } 18 = 9$.", "9", 1, 1),
        ("The answer is thirteen.", "13", 0, 1),
        ("The answer is Rs.18.", "18", 0, 1),
        # A number that is a part of something else.
        (r"The answer is $18\frac{1}{2}$.", "18", 0, 0),
        (r"The answer is $\sqrt{18}$.", "18", 1, 0),
        ("The answer is 18:30.", "18", 0, 0),
        ("The answer is 18^2.", "18", 0, 0),
        ("The answer is 18-20.", "18", 0, 0),
        ("The answer is 18 or 19.", "18", 0, 0),
        ("The answer is between 18 and 22.", "18", 0, 0),
        ("The answer is 18 hours and 30 minutes.", "18", 0, 0),
        ("The answer is 18 feet 6 inches.", "18", 0, 0),
        ("The answer is 18 + 3.", "18", 0, 0),
        ("The answer is 18e3.", "18", 0, 0),
        ("The answer is 18 million.", "18", 1, 0),
        # Thought.
        ("<think>The answer is 19.</think>\nShe makes 18 dollars.", "18", 1, 1),
        ("<think>The answer is 18.</think>\nI do not know.", "18", 1, 0),
        ("<think>The answer is 18. But wait", "18", 1, 0),
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


def test_what_may_be_cut_off_states_nothing() -> None:
    doc = {"answer": "#### 18"}
    for text, honest in (
        ("So the answer is 18", 0),
        ("So she has 18 eggs. Then", 0),
        ("So the answer is 18. Let us check: 3", 1),
        (r"It is $\boxed{18}$", 1),
    ):
        cut = TASK.score(doc, Response(text=text, finish="length")).values
        assert cut["exact_match_numeric"] == honest, text


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
    "announcements": "the answer is " * 50_000,
    "answers": "the answer is 5. " * 50_000,
    "labels": "Answer: " * 50_000,
    "enumerations": "1) " * 100_000,
    "boxes": "\\boxed{" * 100_000,
    "joined boxes": "\\boxed{5}, " * 50_000,
    "number words": "The answer is " + "one hundred and " * 50_000,
    "mixed numbers": "The answer is " + "3 1/2 " * 300,
    "thoughts": "<think>" * 100_000,
    "tags": "<answer>" * 100_000,
    "Chinese announcements": "答案是" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged(name: str) -> None:
    text, start = HOSTILE[name], time.process_time()
    found = TASK.score({"answer": "#### 3"}, Response(text=text))
    assert found.values == TASK.wrong_values({"answer": "#### 3"})
    assert time.process_time() - start < 2
