"""DeepMind Mathematics: prompts to the byte, verdicts as the reference's, oracle, hostile text."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool
from olmes.tools import jsonl
from tests.golden import prompt_hash

TASK = load_task("deepmind_math")
DEMO = Path(__file__).parents[2] / "tasks/demo/deepmind_math.jsonl"

Place = tuple[str, int]


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> dict[Place, dict[str, Any]]:
    """The official items by category and row."""
    said: list[str] = []
    found = resolve(TASK, shared_data, say=said.append)
    assert found.official
    assert said == []
    return {
        (one.subtask, one.doc_id): {**one.doc, "subtask": one.subtask} for one in found.instances
    }


def category(subtask: str) -> str:
    return subtask.removeprefix("deepmind_math_").partition(":")[0]


def demo_docs() -> list[dict[str, Any]]:
    return list(jsonl.read(DEMO))


def doc(gold: str, kind: str = "algebra__linear_1d", question: str = "Solve it.") -> dict[str, Any]:
    return {"question": f"b'{question}\\n'", "answer": f"b'{gold}\\n'", "subtask": kind}


def test_all_items_are_there(docs: dict[Place, dict[str, Any]]) -> None:
    assert len(docs) == 5600
    assert set(Counter(kind for kind, _ in docs).values()) == {100}


def test_golden_prompts(docs: dict[Place, dict[str, Any]], shared_reference: Path) -> None:
    golden = list(jsonl.read(shared_reference / "prompts/deepmind_math.jsonl.gz"))
    assert len(golden) == 168
    for row in golden:
        item = docs[category(row["subtask"]), row["doc_id"]]
        request = TASK.request(item)
        assert list(request.messages) == row["messages"]
        assert (request.prefill, TASK.gold(item)) == ("", row["gold"])
        generation = row["generation"]
        assert request.generation.max_tokens == generation["max_gen_toks"] == 2048
        assert request.generation.temperature == generation["temperature"] == 0
        assert request.generation.stop == tuple(generation["stop_sequences"]) == ()
        assert request.generation.n == generation["repeats"] == 1


def test_hashes_of_prompts(docs: dict[Place, dict[str, Any]], shared_reference: Path) -> None:
    seen = 0
    for row in jsonl.read(shared_reference / "prompts/all_prompt_hashes.jsonl.gz"):
        if not row["subtask"].startswith("deepmind_math"):
            continue
        for doc_id, expected in zip(row["doc_ids"], row["sha256_16"], strict=True):
            request = TASK.request(docs[category(row["subtask"]), doc_id])
            assert prompt_hash(request) == expected
            seen += 1
    assert seen == 56 * 34


def test_verdicts_are_the_references(
    docs: dict[Place, dict[str, Any]], shared_reference: Path
) -> None:
    recorded = list(jsonl.read(shared_reference / "verdicts/deepmind_math_pairs.jsonl.gz"))
    assert len(recorded) == 2656
    cut_off = 0
    for row in recorded:
        item = docs[row["subtask"], row["doc_id"]]
        found = TASK.score(item, Response(text=row["response"]))
        assert TASK.gold(item) == row["gold"]
        expected = row["verdict"]
        if expected["exact_match"] is None:  # the reference hung on `13604000!`
            cut_off += 1
            assert found.values["exact_match"] == 0
            continue
        assert found.values["exact_match"] == expected["exact_match"]
        assert found.values["answer_format_correct"] == expected["answer_format_correct"]
        # For True and False the reference reports the answer in lower case.
        extracted = found.extracted or ""
        assert row["extracted"] in (extracted, extracted.lower())
    assert cut_off == 3


def assert_oracle(items: list[dict[str, Any]]) -> None:
    for item in items:
        right = TASK.score(item, TASK.perfect_response(item))
        assert set(right.values.values()) == {1.0}, item
        wrong = TASK.score(item, TASK.perfect_response(item, corrupt=True))
        assert wrong.values["exact_match"] == wrong.values["exact_match_lenient"] == 0, item


def test_oracle_over_the_whole_data(docs: dict[Place, dict[str, Any]]) -> None:
    assert_oracle(list(docs.values()))


def test_oracle_over_the_demo_data() -> None:
    assert len(demo_docs()) >= 60
    assert {item["subtask"] for item in demo_docs()} == {file.subtask for file in TASK.source.files}
    assert_oracle(demo_docs())


def test_the_demo_data_is_not_the_official_set(docs: dict[Place, dict[str, Any]]) -> None:
    official = {item["question"] for item in docs.values()}
    assert not official & {item["question"] for item in demo_docs()}


def test_another_items_answer_is_wrong(docs: dict[Place, dict[str, Any]]) -> None:
    """Each gold answer as the response to the next item of its category."""
    accepted = []
    for (kind, row), item in docs.items():
        other = docs[kind, (row + 1) % 100]
        if TASK.gold(other).lower() == TASK.gold(item).lower():
            continue
        found = TASK.score(item, TASK.perfect_response(other))
        if found.values["exact_match"] or found.values["exact_match_lenient"]:
            accepted.append((kind, row))
    # There the next item's answer happens to be the value of the gold option.
    assert accepted == [("comparison__closest_composed", 8)]
    assert TASK.gold(docs["comparison__closest_composed", 8]) == "c"
    assert "(c) 0" in docs["comparison__closest_composed", 8]["question"]
    assert TASK.gold(docs["comparison__closest_composed", 9]) == "0"


# docs/deepmind-math-agreement.md, in its order: response, gold, protocol, lenient.
FAULTS = [
    ("Therefore, the final answer is 13604000! I hope it is correct.", "13604000", 0, 1),
    ("Therefore, the final answer is 2! I hope it is correct.", "2", 1, 1),
    (r"Therefore, the final answer is \frac{3}{4}. I hope it is correct.", "3/4", 0, 1),
    (r"Therefore, the final answer is \boxed{7}. I hope it is correct.", "7", 0, 1),
    ("Therefore, the final answer is 40*h^3 + 5. I hope it is correct.", "40*h**3 + 5", 0, 1),
    ("Therefore, the final answer is 40h**3 + 5. I hope it is correct.", "40*h**3 + 5", 0, 1),
    ("Therefore, the final answer is x = 3. I hope it is correct.", "3", 0, 1),
    ("Therefore, the final answer is 6,910. I hope it is correct.", "6910", 0, 1),
    ("Therefore, the final answer is 3 288. I hope it is correct.", "3288", 0, 1),
    ("Therefore, the final answer is 13 units. I hope it is correct.", "13", 0, 1),
    ('Therefore, the final answer is "44". I hope it is correct.', "44", 0, 1),
    ("Therefore, the final answer is `44`. I hope it is correct.", "44", 0, 1),
    ("The final answer is: 5", "5", 0, 1),
    ("Therefore, the final answer is {8, 14}. I hope it is correct.", "8, 14", 0, 1),
    ("Therefore, the final answer is [8, 14]. I hope it is correct.", "8, 14", 0, 1),
    ("Therefore, the final answer is 14, 8. I hope it is correct.", "8, 14", 0, 1),
    ("Therefore, the final answer is 8.0, 14.0. I hope it is correct.", "8, 14", 0, 1),
    ("Therefore, the final answer is 1.714285714285.... I hope it is correct.", "12/7", 0, 1),
    ("Therefore, the final answer is 1.71428571. I hope it is correct.", "12/7", 0, 0),
    ("Therefore, the final answer is 05. I hope it is correct.", "5", 0, 1),
    ("Therefore, the final answer is $5$. I hope it is correct.", "5", 1, 1),
    ("Therefore, the final answer is **10/2**. I hope it is correct.", "5", 1, 1),
    ("Therefore, the final answer is 5.0. I hope it is correct.", "5", 1, 1),
    ("Therefore, the final answer is 1e3. I hope it is correct.", "1000", 1, 1),
    ("Therefore, the final answer is 8, 14,. I hope it is correct.", "8, 14", 1, 1),
    ("Therefore, the final answer is 4+1. I hope it is correct.", "5", 1, 0),
    ("Therefore, the final answer is 6 or 5. I hope it is correct.", "6", 1, 0),
    (
        "Therefore, the final answer is 4. I hope it is correct.\n"
        "Therefore, the final answer is 5. I hope it is correct.",
        "5",
        1,
        1,
    ),
    ("So the answer is 5.", "5", 1, 1),
    ("5", "5", 0, 1),
    ("Therefore, the final answer is -3<|eot_id|>", "-3", 0, 1),
    ("Therefore, the final answer is True. I hope it is correct.", "1", 1, 0),
]


@pytest.mark.parametrize(("text", "gold", "protocol", "lenient"), FAULTS)
def test_known_faults(text: str, gold: str, protocol: int, lenient: int) -> None:
    kind = "algebra__polynomial_roots" if "," in gold else "polynomials__add"
    found = TASK.score(doc(gold, kind), Response(text=text)).values
    assert (found["exact_match"], found["exact_match_lenient"]) == (protocol, lenient)


def test_work_left_undone_is_right_to_the_protocol_only() -> None:
    question = "Expand (2*t + 1)*(t - 3)."
    item = doc("2*t**2 - 5*t - 3", "polynomials__expand", question)
    text = "Therefore, the final answer is (2*t + 1)*(t - 3). I hope it is correct."
    found = TASK.score(item, Response(text=text)).values
    assert (found["exact_match"], found["exact_match_lenient"]) == (1, 0)


def test_two_scorings_agree() -> None:
    item = doc("sqrt(2)*x", "polynomials__add")
    text = "Therefore, the final answer is 2*x/sqrt(2). I hope it is correct."
    verdicts = [TASK.score(item, Response(text=text)) for _ in range(3)]
    assert verdicts == [verdicts[0]] * 3
    assert verdicts[0].values["exact_match"] == 1


def test_no_answer_is_unparsed_and_an_unreadable_one_says_why() -> None:
    nothing = TASK.score(doc("5"), Response(text="I give up."))
    assert nothing.unparsed
    assert nothing.extracted is None
    text = "Therefore, the final answer is x = 5. I hope it is correct."
    unread = TASK.score(doc("5"), Response(text=text))
    assert (unread.extracted, unread.note) == ("x = 5", "not read: '=' is not allowed")


HOSTILE = {
    "import": "__import__('os').system('touch {path}')",
    "subclasses": "().__class__.__bases__[0].__subclasses__()",
    "power tower": "9**9**9**9",
    "factorial": "13604000!",
    "round brackets": "(" * 1_000_000,
    "square brackets": "[" * 1_000_000,
    "braces": "{" * 500 + "}" * 500,
    "fractions": r"\frac{" * 200_000,
    "roots": r"\sqrt" * 200,
    "boxes": r"\boxed{" * 150_000,
    "digits": "9" * 1_000_000,
    "commas": "1," * 500_000,
    "blanks": " " * 1_000_000,
    "dollars": "$" * 1_000_000,
    "stars": "**" * 500_000,
    "newlines": "\n" * 1_000_000,
    "openings": "Therefore, the final answer is " * 30_000,
    "sentences": "Therefore, the final answer is 4. I hope it is correct. " * 15_000,
    "looser openings": "final answer" * 80_000,
    "NUL": "\0",
    "lone surrogate": "\ud800",
    "plus or minus": "±" * 900,
    "towers of letters": "x^" * 400,
    "mixed numbers": "3 1/2 " * 150,
    "periods": "1.2(3)" * 150,
}
SHAPES = ("Therefore, the final answer is {}. I hope it is correct.", "The answer is: {}", "{}")
ASKED = {
    "algebra__linear_1d": "-31",
    "algebra__polynomial_roots": "-31, 17",
    "arithmetic__add_or_sub_in_base": "-1a31",
    "comparison__kth_biggest": "q",
    "comparison__sort": "17, -31",
    "measurement__conversion": "0.31",
    "measurement__time": "7:31 PM",
    "numbers__is_prime": "True",
    "polynomials__expand": "31*x + 17",
    "polynomials__simplify_power": "x**(31/17)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_wrong_at_once(name: str, tmp_path: Path) -> None:
    target = tmp_path / "touched"
    hostile = HOSTILE[name].replace("{path}", str(target))
    for number, (kind, gold) in enumerate(ASKED.items()):
        text = SHAPES[number % len(SHAPES)].replace("{}", hostile)
        start = time.process_time()
        found = TASK.score(doc(gold, kind), Response(text=text))
        assert time.process_time() - start < 5  # anything but linear takes minutes
        assert found.values["exact_match"] == found.values["exact_match_lenient"] == 0
        json.dumps(found.note)
    assert not target.exists()


def test_scoring_processes_judge_the_same() -> None:
    item = doc("5*x", "polynomials__add")
    texts = ["Therefore, the final answer is 5x. I hope it is correct.", HOSTILE["lone surrogate"]]
    outcomes: list[dict[str, Outcome]] = [{} for _ in texts]
    with ScoringPool({TASK.name: TASK}, scoring_processes=1) as pool:
        for text, found in zip(texts, outcomes, strict=True):
            pool.submit(TASK.name, item, Response(text=text), found.__setitem__)
        pool.join()
    assert [outcome.verdict for found in outcomes for outcome in found.values()] == [
        TASK.score(item, Response(text=text)) for text in texts
    ]


def test_nothing_heavy_is_imported_with_the_task() -> None:
    code = "import sys, olmes.tasks.deepmind_math; print({'sympy', 'mpmath', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_an_item_is_compared_without_its_wrapping(quote: str) -> None:
    doc = {"question": rf"b{quote}What is the next term?\n{quote}", "answer": r"b'3\n'"}
    task = load_task("deepmind_math")
    assert task.item_texts(doc) == ["What is the next term?"]
    assert task.item_texts(doc, answers=True) == ["3"]
