"""The honest metrics held against responses labelled by hand: what each is worth to a reader."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.data.files import rows
from olmes.types import Doc

HONEST = {
    "agieval": "exact_match_lenient",
    "deepmind_math": "exact_match_lenient",
    "gsm8k": "exact_match_numeric",
    "ifbench": "prompt_level_strict",
    "ifeval": "prompt_level_strict_stated",
}
"""The task and its metric that the cases judge."""
LEAST, LEAST_IN_A_SET = 0.98, 0.95
MISLABELLED: dict[str, dict[str, str]] = {}
"""By task the responses whose label we hold to be wrong, each with the reason; in the docs too."""


@cache
def cases(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@cache
def file_of(task: Task, data: Path, subtask: str) -> list[Doc]:
    file = next(file for file in task.source.files if file.subtask == subtask)
    return rows(data / file.path)


def doc_of(task: Task, case: dict[str, Any], data: Path) -> Doc:
    """The item of a case: named by its row, written out, or made of its gold answer."""
    if "doc" in case:
        return dict(case["doc"])
    if "doc_id" in case:
        subtask = case.get("subtask", "")
        return {**file_of(task, data, subtask)[case["doc_id"]], "subtask": subtask}
    if task.name == "math":
        solution = f"$\\boxed{{{case['gold']}}}$"
        return {"problem": "p", "level": "Level 1", "type": "Algebra", "solution": solution}
    return {"question": "q", "answer": f"#### {case['gold']}"}


def judged(task: Task, case: dict[str, Any], data: Path) -> float:
    doc, response = doc_of(task, case, data), Response(text=case["response"])
    values: dict[str, float] = {}
    for scorer in task.scorers:
        values |= getattr(task, scorer)(doc, response).values
    return values[HONEST[task.name]]


@pytest.mark.parametrize("name", HONEST)
def test_honest_metrics_read_as_a_person_does(
    name: str, shared_data: Path, shared_reference: Path
) -> None:
    task, known = load_task(name), MISLABELLED.get(name, {})
    total: Counter[str] = Counter()
    wrong: dict[str, list[str]] = {}
    for case in cases(shared_reference / "cases/honest_metrics.jsonl.gz"):
        if case["task"] != name or case["response"] in known:
            continue
        total[case["set"]] += 1
        if judged(task, case, shared_data) != case["right"]:
            about = f"{case['kind']}: {case['response'][-200:]!r} is {case['right']}"
            wrong.setdefault(case["set"], []).append(about)
    assert total
    said = json.dumps(wrong, indent=1, ensure_ascii=False)
    assert sum(map(len, wrong.values())) <= (1 - LEAST) * total.total(), said
    for group, found in wrong.items():
        assert len(found) <= (1 - LEAST_IN_A_SET) * total[group], said
