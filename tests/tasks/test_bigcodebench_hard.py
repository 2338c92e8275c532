"""BigCodeBench-Hard: prompts to the byte, what is kept of a response, published results."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import Doc, Response, Task
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.scoring.code.sanitized import sanitized
from olmes.scoring.code.source import longest_code
from olmes.scoring.process.job import Outcome
from tests.golden import prompt_hash
from tests.known import known

TASK = load_task("bigcodebench_hard")
FILE = TASK.source.files[0].path
DEMO = Path(__file__).parents[2] / "tasks/demo/bigcodebench_hard.jsonl"
MODEL = "bigcodebench/outputs/Qwen2.5-Coder-7B-Instruct.bigcodebench-hard-instruct"

Executed = Callable[[Task, Sequence[tuple[Doc, Response]]], list[Outcome]]


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(path).splitlines()]


def demo_docs() -> list[Doc]:
    return [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]


def values(outcome: Outcome) -> dict[str, Any]:
    return known(outcome.verdict).values


@pytest.fixture(scope="module")
def docs(shared_data: Path) -> list[Doc]:
    found: list[Doc] = json.loads(text(shared_data / FILE))
    return found


def test_golden_prompts(docs: list[Doc], shared_reference: Path) -> None:
    for row in lines(shared_reference / "prompts/bigcodebench_hard.jsonl.gz"):
        assert row["file"] == FILE
        request = TASK.request(docs[row["doc_id"]])
        assert list(request.messages) == row["messages"]
        assert request.prefill == row["assistant_prefix"]
        assert TASK.gold(docs[row["doc_id"]]) == row["gold"]
        asked, generation = row["generation"], request.generation
        assert generation.max_tokens == asked["max_gen_toks"]
        assert generation.temperature == asked["temperature"]
        assert generation.top_p == asked["top_p"]
        assert list(generation.stop) == asked["stop_sequences"]
        # Trap 4: one greedy response and pass@1, whatever the paper's tables say.
        assert generation.n == asked["repeats"] == 1
    assert TASK.primary == "pass@1"


def test_every_hashed_prompt(docs: list[Doc], shared_reference: Path) -> None:
    hashed = lines(shared_reference / "prompts/all_prompt_hashes.jsonl.gz")
    row = next(row for row in hashed if row["task"] == "bigcodebench_hard::tulu")
    assert len(row["doc_ids"]) == 50
    for doc_id, expected in zip(row["doc_ids"], row["sha256_16"], strict=True):
        request = TASK.request(docs[doc_id])
        assert prompt_hash(request) == expected


def test_official_data(shared_data: Path) -> None:
    data = resolve(TASK, shared_data, say=lambda line: None)
    assert data.official
    assert len(data.instances) == 148


def test_a_row_of_the_hub_becomes_one_of_the_file() -> None:
    row = {"task_id": "BigCodeBench/1", "instruct_prompt": "Do it.", "complete_prompt": "def"}
    assert TASK.source.from_hub(row)["prompt"] == "Do it."


def test_what_is_kept_is_what_the_benchmark_keeps(docs: list[Doc], shared_data: Path) -> None:
    published = json.loads(text(shared_data / f"{MODEL}_eval_results.json.gz"))["eval"]
    by_id = {doc["task_id"]: doc for doc in docs}
    recorded = lines(shared_data / f"{MODEL}.jsonl.gz")
    assert len(recorded) == 148
    for row in recorded:
        doc, response = by_id[row["task_id"]], Response(text=row["raw_solution"])
        assert sanitized(response.text, doc["entry_point"]) == row["solution"]
        protocol = TASK.programs(doc, response)[0]
        assert protocol.source == published[row["task_id"]][0]["solution"]


@pytest.mark.slow
def test_published_results(docs: list[Doc], shared_data: Path, executed: Executed) -> None:
    published = json.loads(text(shared_data / f"{MODEL}_eval_results.json.gz"))["eval"]
    by_id = {doc["task_id"]: doc for doc in docs}
    recorded = lines(shared_data / f"{MODEL}.jsonl.gz")
    needs_environment()
    pairs = [(by_id[row["task_id"]], Response(text=row["raw_solution"])) for row in recorded]
    differ = [
        doc["task_id"]
        for (doc, _), outcome in zip(pairs, executed(TASK, pairs), strict=True)
        if (values(outcome)["pass@1"] == 1) != (published[doc["task_id"]][0]["status"] == "pass")
    ]
    assert differ == []


@pytest.mark.slow
def test_the_oracle_over_the_whole_data(docs: list[Doc], executed: Executed) -> None:
    needs_environment()
    check_oracle(docs, executed)
    offline = [doc for doc in docs if not TASK.perfect_values(doc)["pass@1"]]
    assert [doc["task_id"].partition("/")[2] for doc in offline] == [
        *("101", "177", "590", "655", "1012")
    ]


def needs_environment() -> None:
    """Skip where the libraries are not installed."""
    from olmes.sandbox import environments

    state = environments.state_of("bigcodebench")
    if state != "installed":
        pytest.skip(f"the environment is {state}: olmes sandbox install bigcodebench")


def check_oracle(docs: list[Doc], executed: Executed) -> None:
    right = executed(TASK, [(doc, TASK.perfect_response(doc)) for doc in docs])
    wrong = executed(TASK, [(doc, TASK.perfect_response(doc, corrupt=True)) for doc in docs])
    for doc, perfect, corrupt in zip(docs, right, wrong, strict=True):
        assert values(perfect) == TASK.perfect_values(doc), doc["task_id"]
        assert set(values(corrupt).values()) == {0.0}


def test_demo_data(executed: Executed) -> None:
    items = demo_docs()
    assert len(items) >= 24
    for doc in items:  # so that they need no environment
        assert {one.environment for one in TASK.programs(doc, TASK.perfect_response(doc))} == {""}
    check_oracle(items[-3:], executed)


@pytest.mark.slow
def test_the_oracle_over_the_demo_data(executed: Executed) -> None:
    check_oracle(demo_docs(), executed)


def test_a_program_with_a_library_needs_the_environment() -> None:
    doc = demo_docs()[0]
    response = Response(text=f"import numpy as np\n{doc['code_prompt']}    return np.zeros(3)\n")
    assert {one.environment for one in TASK.programs(doc, response)} == {"bigcodebench"}


DOC = next(doc for doc in demo_docs() if "how many days" in doc["prompt"])
HEAD, BODY = DOC["code_prompt"], DOC["canonical_solution"]
IMPORT, DEFINED = HEAD.split("\n", 1)
WHOLE = HEAD + BODY
WRONG = HEAD + "    return 0\n"
UNWRAPPED = BODY.replace("abs(", "DAYS(")


def fenced(code: str) -> str:
    return f"```python\n{code}```\n"


CASES = {
    "the whole function": (WHOLE, 1, 1),
    "without its import": (DEFINED + BODY, 1, 1),
    "an example behind it": (f"{WHOLE}\nprint(task_func('a', 'b'))\n", 1, 1),
    "a fence and words": (f"Here is the function:\n\n{fenced(WHOLE)}\nIt counts days.", 1, 1),
    "a helper": (f"{IMPORT}\ndef DAYS(n):\n    return abs(n)\n{DEFINED}{UNWRAPPED}", 1, 1),
    "a constant": (f"{IMPORT}\nDAYS = abs\n{DEFINED}{UNWRAPPED}", 1, 1),
    # What `sanitize` loses.
    "the body alone": (BODY, 0, 1),
    "a decorator": (f"{IMPORT}\nfrom functools import cache\n@cache\n{DEFINED}{BODY}", 0, 1),
    "two constants at once": (f"{IMPORT}\nDAYS, NONE = abs, 0\n{DEFINED}{UNWRAPPED}", 0, 1),
    "an import with a fallback": (
        f"{IMPORT}\ntry:\n    from math import fabs as DAYS\nexcept ImportError:\n    DAYS = abs\n"
        f"{DEFINED}{UNWRAPPED}",
        0,
        1,
    ),
    "tabs": (WHOLE.replace("    ", "\t"), 0, 1),
    "the function on one line at the end": (f"{IMPORT}\n{DEFINED.strip()} {BODY.strip()}", 0, 1),
    "two blocks": (
        f"{fenced(f'{IMPORT}{chr(10)}def DAYS(n):{chr(10)}    return abs(n){chr(10)}')}then\n"
        f"{fenced(DEFINED + UNWRAPPED)}",
        0,
        1,
    ),
    "wrong": (WRONG, 0, 0),
    "wrong, then corrected": (
        f"{fenced(WRONG)}No:\n{fenced(WHOLE + '    # counted' + chr(10))}",
        1,
        1,
    ),
    "another name": (WHOLE.replace("task_func", "days"), 0, 0),
    "words": ("Days are counted by subtraction.", 0, 0),
    "blank": ("", 0, 0),
    "a call of exit": (f"{HEAD}    exit(0)\n", 0, 0),
    "the program ended": (f"{HEAD}    import os\n    os._exit(0)\n", 0, 0),
}
"""Responses with what they are worth to the protocol, and honestly."""


def test_what_counts(executed: Executed) -> None:
    pairs = [(DOC, Response(text=said)) for said, _, _ in CASES.values()]
    found = dict(zip(CASES, executed(TASK, pairs), strict=True))
    assert {name: list(values(outcome).values()) for name, outcome in found.items()} == {
        name: [protocol, lenient] for name, (_, protocol, lenient) in CASES.items()
    }
    unparsed = {name for name, one in found.items() if known(one.verdict).unparsed}
    assert unparsed == {"another name", "words", "blank"}
    right, wrong = known(found["the whole function"].verdict), known(found["wrong"].verdict)
    assert Counter(part["strict"] for part in right.parts) == {True: 3}
    assert {part["id"]: part["strict"] for part in wrong.parts} == {
        "test_case_1": False, "test_case_2": False, "test_case_3": False,
    }  # fmt: skip
    assert "AssertionError" in found["wrong"].executions[0].output


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        ("import a\nx = 1\ndef f():\n    return g()\ndef g():\n    return x\n", None),
        ("def f():\n    return 1\nimport a", "import a\ndef f():\n    return 1"),
        ("def f():\n    return 1\ndef f():\n    return 2", "def f():\n    return 1"),
        ("class K:\n    pass\ndef f(k: K):\n    return K", None),
        ("from __future__ import annotations\ndef f():\n    pass", "def f():\n    pass"),
        ("a.b = f\ndef f():\n    return a", ""),  # the assignment takes the function's name
        ("y: int = 3\ndef f():\n    return y", None),
        ("def f():\n    return 1\nf()\n1 +", "def f():\n    return 1"),
        ("async def f():\n    await g()", None),
        ("no code at all,\nand none here", ""),
        ("", ""),
    ],
)
def test_what_is_kept(response: str, kept: str | None) -> None:
    """None stands for the whole response."""
    assert sanitized(response, "f") == (response.strip() if kept is None else kept)


def test_the_longest_code_is_found_in_good_time() -> None:
    prose = "\n".join(f"It isn't line {n}, is it?" for n in range(60))
    code = "\n".join(f"x{n} = (1,\n  2)" for n in range(100))
    began = time.process_time()
    assert longest_code(f"{prose}\n{code}\n{prose}") == code
    assert longest_code("(\n" * 120) == "("
    assert time.process_time() - began < 10
