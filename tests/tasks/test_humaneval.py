"""HumanEval and HumanEval+: prompts to the byte, published flags, and what a response means."""

from __future__ import annotations

import gzip
import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import Doc, Response, Scored, Task
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.scoring.process.job import Outcome
from tests.golden import prompt_hash
from tests.known import known

TASK = load_task("humaneval")
PLUS = load_task("humaneval_plus")
GOLDEN = {"codex_humaneval": TASK, "codex_humanevalplus": PLUS}
DEMO = Path(__file__).parents[2] / "tasks/demo"

Executed = Callable[[Task, Sequence[tuple[Doc, Response]]], list[Outcome]]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def demo_docs(task: Task) -> list[Doc]:
    path = DEMO / f"{task.name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def values(outcome: Outcome) -> dict[str, Any]:
    return known(outcome.verdict).values


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_prompts(name: str, shared_data: Path, shared_reference: Path) -> None:
    task = GOLDEN[name]
    docs = rows(shared_data / task.source.files[0].path)
    for row in rows(shared_reference / f"prompts/{name}.jsonl.gz"):
        assert row["file"] == task.source.files[0].path
        request = task.request(docs[row["doc_id"]])
        assert list(request.messages) == row["messages"]
        # Trap 10: the answer prefix stands in the user's turn and in the prefill.
        assert request.messages[-1]["content"].endswith(row["assistant_prefix"])
        assert request.prefill == row["assistant_prefix"]
        assert task.gold(docs[row["doc_id"]]) == row["gold"]
        asked, generation = row["generation"], request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert generation.top_p == asked["top_p"]
        assert list(generation.stop) == asked["stop_sequences"]
        assert generation.n == asked["repeats"] == 20


@pytest.mark.parametrize("name", GOLDEN)
def test_every_hashed_prompt(name: str, shared_data: Path, shared_reference: Path) -> None:
    task = GOLDEN[name]
    docs = rows(shared_data / task.source.files[0].path)
    hashed = rows(shared_reference / "prompts/all_prompt_hashes.jsonl.gz")
    row = next(row for row in hashed if row["task"] == f"{name}::tulu")
    assert len(row["doc_ids"]) == 55
    for doc_id, expected in zip(row["doc_ids"], row["sha256_16"], strict=True):
        request = task.request(docs[doc_id])
        assert prompt_hash(request) == expected


@pytest.mark.parametrize("task", [TASK, PLUS], ids=lambda task: task.name)
def test_official_data(task: Task, shared_data: Path) -> None:
    data = resolve(task, shared_data, say=lambda line: None)
    assert data.official
    assert len(data.instances) == 164


def test_the_prompts_differ_in_one_problem(shared_data: Path) -> None:
    docs = [rows(shared_data / task.source.files[0].path) for task in (TASK, PLUS)]
    differ = [a["task_id"] for a, b in zip(*docs, strict=True) if a["prompt"] != b["prompt"]]
    assert differ == ["HumanEval/115"]


FLAGGED_BY_LEAK = 133
"""Its solution imports `math` within a function that it defines again without the import. The publisher
executed all solutions in one namespace, in which others had imported it."""


@pytest.mark.slow
def test_published_flags(executed: Executed, shared_data: Path) -> None:
    docs = rows(shared_data / TASK.source.files[0].path)
    recorded = rows(shared_data / "humaneval/outputs/gpt4_simple.jsonl.gz")
    assert len(recorded) == 164
    pairs = [(docs[number(row)], Response(text=row["solution"])) for row in recorded]
    found = executed(TASK, pairs)
    differ = [
        number(row)
        for row, outcome in zip(recorded, found, strict=True)
        if values(outcome)["pass@1"] != row["is_solved"]
    ]
    assert differ == [FLAGGED_BY_LEAK]
    assert "name 'math' is not defined" in found[FLAGGED_BY_LEAK].executions[0].output
    for outcome in found:  # whole functions as they are asked for: both metrics say the same
        assert values(outcome)["pass@1_lenient"] == values(outcome)["pass@1"]


def test_some_published_flags(executed: Executed, shared_data: Path) -> None:
    docs = rows(shared_data / TASK.source.files[0].path)
    recorded = rows(shared_data / "humaneval/outputs/gpt4_simple.jsonl.gz")
    recorded = [row for row in recorded if not row["is_solved"]][:3] + recorded[60:63]
    pairs = [(docs[number(row)], Response(text=row["solution"])) for row in recorded]
    found = [values(outcome)["pass@1"] for outcome in executed(TASK, pairs)]
    assert found == [float(row["is_solved"]) for row in recorded]
    assert set(found) == {0.0, 1.0}


def number(row: dict[str, Any]) -> int:
    return int(row["task_id"].removeprefix("HumanEval/"))


@pytest.mark.slow
@pytest.mark.parametrize("task", [TASK, PLUS], ids=lambda task: task.name)
def test_the_oracle_over_the_whole_data(task: Task, executed: Executed, shared_data: Path) -> None:
    docs = rows(shared_data / task.source.files[0].path)
    check_oracle(task, docs, executed)
    broken = [doc["task_id"] for doc in docs if task.perfect_values(doc)["pass@1"] == 0]
    # Its published test unpacks a number, so that no function passes it.
    assert broken == (["HumanEval/32"] if task is PLUS else [])


def check_oracle(task: Task, docs: list[Doc], executed: Executed) -> None:
    right = executed(task, [(doc, task.perfect_response(doc)) for doc in docs])
    wrong = executed(task, [(doc, task.perfect_response(doc, corrupt=True)) for doc in docs])
    for doc, perfect, corrupt in zip(docs, right, wrong, strict=True):
        assert values(perfect) == task.perfect_values(doc), doc["task_id"]
        assert set(values(corrupt).values()) == {0.0}


@pytest.mark.parametrize("task", [TASK, PLUS], ids=lambda task: task.name)
def test_demo_data(task: Task, executed: Executed) -> None:
    docs = demo_docs(task)
    assert len(docs) >= 24
    assert len({doc["entry_point"] for doc in docs}) == len(docs)
    # Some prompts begin with imports or with a function that the answer may use.
    assert {doc["prompt"].startswith("def " + doc["entry_point"]) for doc in docs} == {True, False}
    check_oracle(task, docs[::8], executed)


@pytest.mark.slow
@pytest.mark.parametrize("task", [TASK, PLUS], ids=lambda task: task.name)
def test_the_oracle_over_the_demo_data(task: Task, executed: Executed) -> None:
    check_oracle(task, demo_docs(task), executed)


def test_a_broken_test_is_corrected_for_the_honest_metric(executed: Executed) -> None:
    doc = demo_docs(PLUS)[-1]
    assert PLUS.perfect_values(doc) == {"pass@1": 0.0, "pass@1_lenient": 1.0}
    (found,) = executed(PLUS, [(doc, PLUS.perfect_response(doc))])
    assert [one.result for one in found.executions] == ["failed", "passed"]
    assert found.executions[0].tests_hash != found.executions[1].tests_hash
    assert values(found) == PLUS.perfect_values(doc)


DOC = next(doc for doc in demo_docs(TASK) if doc["entry_point"] == "digits_meet")
BODY = DOC["canonical_solution"]
HEAD = "def digits_meet(first, second):\n"
WHOLE = HEAD + BODY
WRONG = HEAD + "    return first == second\n"

BY_HELPER = "    return bool(both(first, second))\n"
HELPER = "def both(a, b):\n    return set(str(abs(a))) & set(str(abs(b)))\n"
LINES = "a = set(str(abs(first)))\nb = set(str(abs(second)))\nreturn bool(a & b)"
AGAIN = "Here is the completed function:\n\n"
LAMBDA = f"digits_meet = lambda first, second: {BODY.strip().removeprefix('return ')}\n"


def fenced(code: str) -> str:
    return f"```python\n{code}```\n"


CASES = {
    "the body": (BODY, 1, 1),
    "the whole function again": (WHOLE, 1, 1),
    "with a helper": (f"{BY_HELPER}\n{HELPER}", 1, 1),
    "the first indentation lost": (BODY.lstrip(), 0, 1),
    "two blanks for four": (textwrap.indent(BODY.strip(), "  "), 0, 1),
    "a tab for four blanks": ("\t" + BODY.strip(), 0, 1),
    "the first of several indentations lost": (LINES.replace("\n", "\n    "), 0, 1),
    "all indentation lost": (LINES, 0, 1),
    "in a fence of its own": (fenced(WHOLE), 0, 1),
    "the announcement again": (f"{AGAIN}{fenced(WHOLE)}\nIt compares sets.", 0, 1),
    "in a fence that is indented": (textwrap.indent(fenced(WHOLE), "   "), 0, 1),
    "the body, the fence's end, words": (f"{BODY}```\n\nThis takes the digits of both.", 0, 1),
    "the body and words": (f"{BODY}\nThis takes the digits of both numbers.", 0, 1),
    "words before and behind, no fence": (f"Sure! Here:\n\n{WHOLE}\nHope it helps.", 0, 1),
    "an example that fails": (f"{WHOLE}\nprint(digits_meet('x', 2))", 0, 1),
    "a wrong test of its own": (f"{WHOLE}\nassert digits_meet(1, 2)", 0, 1),
    "examples in a second block": (f"{BODY}```\n\n{fenced('digits_meet(None, 2)')}", 0, 1),
    "a lambda": (fenced(LAMBDA), 0, 1),
    "a decorator": (fenced(f"from functools import cache\n\n@cache\n{WHOLE}"), 0, 1),
    "a helper in a block before": (f"{fenced(HELPER)}and\n{fenced(HEAD + BY_HELPER)}", 0, 1),
    "corrected": (f"{fenced(WRONG)}No, that is wrong:\n{fenced(WHOLE)}", 0, 1),
    "corrected for the worse": (f"{fenced(WHOLE)}No, that is wrong:\n{fenced(WRONG)}", 0, 0),
    "a thought before": (f"<think>\n{WRONG}</think>\n{fenced(WHOLE)}", 0, 1),
    "a thought that never ends": (f"<think>\n{fenced(WHOLE)}", 0, 0),
    "wrong": ("    return first == second", 0, 0),
    "wrong, in a fence": (fenced(WRONG), 0, 0),
    "another name": (fenced("def meet(first, second):\n    return True\n"), 0, 0),
    "nothing but the beginning": (HEAD + '    """Whether they share one."""', 0, 0),
    "a refusal": ("I cannot help with that.", 0, 0),
    "blank": ("\n \n", 0, 0),
    "broken off": (HEAD + "    return bool(set(str(abs(first)", 0, 0),
    "the program ended": ("    return None\n\nimport os\nos._exit(0)", 0, 0),
    "an exception": ("    raise KeyError(first)", 0, 0),
    "no end": ("    while True:\n        pass", 0, 0),
    "NUL": ("    return '\0'", 0, 0),
    "a long sum": (f"    {' + '.join(['first'] * 2000)}\n{BODY}", 1, 1),
    "deep": ("    return " + "(" * 5000, 0, 0),
}
"""Responses with what they are worth to the protocol, and honestly."""
UNPARSED = {
    "a thought that never ends", "another name", "nothing but the beginning", "a refusal", "blank",
    "broken off", "NUL", "deep",
}  # fmt: skip


@pytest.mark.parametrize(("task", "seconds"), [(TASK, 3), (PLUS, 20)])
def test_the_published_seconds_are_the_processors(task: Task, seconds: int) -> None:
    (program,) = task.programs(DOC, Response(text=BODY))
    assert program.limits.wall_s * program.limits.processors == pytest.approx(seconds)
    assert program.limits.wall_s > seconds


def test_what_counts(executed: Executed) -> None:
    pairs = [(DOC, Response(text=text)) for text, _, _ in CASES.values()]
    found = dict(zip(CASES, executed(TASK, pairs), strict=True))
    assert {name: list(values(outcome).values()) for name, outcome in found.items()} == {
        name: [protocol, lenient] for name, (_, protocol, lenient) in CASES.items()
    }
    assert {name for name, one in found.items() if known(one.verdict).unparsed} == UNPARSED
    assert known(found["no end"].verdict).note == "timeout"
    assert known(found["an exception"].verdict).note == "failed"
    # What two readings have in common is executed once.
    assert len(found["the body"].executions) == len(found["wrong"].executions) == 1
    assert not found["blank"].executions


def test_pass_at_10_is_the_items_and_needs_ten_samples() -> None:
    def scored(doc_id: int, passes: int, count: int) -> list[Scored]:
        return [
            Scored(
                doc={},
                doc_id=doc_id,
                subtask="",
                repeat=repeat,
                values={"pass@1": float(repeat < passes), "pass@1_lenient": 1.0},
                extracted=None,
                characters=0,
            )
            for repeat in range(count)
        ]

    found = TASK.settle([*scored(0, 3, 20), *scored(1, 0, 10), *scored(2, 5, 9)])
    # 1 - C(17, 10)/C(20, 10)
    assert found[0]["pass@10"] == pytest.approx(1 - 19448 / 184756)
    assert found[0] == found[19]
    assert found[20] == {"pass@10": 0.0, "pass@10_lenient": 1.0}
    assert list(found[30:]) == [{}] * 9
    assert (TASK.primary, TASK.decisive) == ("pass@10", "pass@1")


def test_votes_are_programs_without_their_layout() -> None:
    assert TASK.vote("def f(a):\n    # so\n    return a+1") == TASK.vote("def f(a): return (a + 1)")
    assert TASK.vote("def f(") is None
    assert TASK.vote(None) is None
