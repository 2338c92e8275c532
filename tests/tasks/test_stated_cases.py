"""Labelled responses to instructions: IFEval and IFBench as they are stated, at least 98 % right."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.tools import jsonl

METRICS = {"ifeval": "prompt_level_strict_stated", "ifbench": "prompt_level_strict"}
HELD_WRONG = {("ifbench", "Run to the store.")}
"""Verdicts that the tagger gives, and not a rule: it takes "run" for a noun."""


@pytest.mark.parametrize(("name", "metric"), METRICS.items())
def test_labelled_responses(shared_reference: Path, name: str, metric: str) -> None:
    task = load_task(name)
    rows = [
        row
        for row in jsonl.read(shared_reference / "cases/honest_metrics.jsonl.gz")
        if row["task"] == name
    ]
    wrong = {
        (name, row["response"])
        for row in rows
        if task.score(row["doc"], Response(text=row["response"])).values[metric] != row["right"]
    }
    assert len(rows) >= 14
    assert wrong <= HELD_WRONG
    assert len(wrong) <= 0.02 * len(rows)
