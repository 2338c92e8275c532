"""Who judged a task's responses, and at what price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from olmes.reports import numbers
from olmes.tools import jsonl


def judge_facts(task: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Lines about a task's judge; none for a task that is scored by rules."""
    judge = task.get("judge")
    return tuple(_facts(judge, task.get("counts") or {})) if judge else ()


def _facts(judge: dict[str, Any], counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    model = judge.get("model")
    encoders = judge.get("encoders") or {}
    for name, about in encoders.items():
        yield "encoder", f"{name}, {jsonl.dumps(about)}"
    if model is None and not encoders:
        yield "judge", "none was named"
    elif model is not None:
        yield "judge", model["name"]
        yield "judge's fingerprint", model["fingerprint"]
        yield "judge's engine", ", ".join(f"{k} {v}" for k, v in (model["engine"] or {}).items())
    yield "judgements", numbers.count(judge["judgements"])
    tokens = judge["tokens"]
    yield (
        "judge's tokens",
        f"{numbers.count(tokens['prompt'])} read, {numbers.count(tokens['completion'])} written",
    )
    if judge.get("budget") is not None:
        yield "budget", f"{numbers.count(judge['budget'])} tokens"
    yield "could not be read", numbers.count(counts.get("unparsed", 0))
    yield "not judged", numbers.count(counts.get("unjudged", 0))
