"""Who judged a task's responses, and at what price."""

from __future__ import annotations

from collections.abc import Iterator

from olmes.records.schema import TaskJudge, TaskResult
from olmes.reports import numbers
from olmes.tools import jsonl


def judge_facts(task: TaskResult) -> tuple[tuple[str, str], ...]:
    """Lines about a task's judge; none for a task that is scored by rules."""
    return tuple(_facts(task.judge, task)) if task.judge else ()


def _facts(judge: TaskJudge, task: TaskResult) -> Iterator[tuple[str, str]]:
    model, encoders = judge.model, judge.encoders or {}
    for name, about in encoders.items():
        yield "encoder", f"{name}, {jsonl.dumps(about)}"
    if model is None and not encoders:
        yield "judge", "none was named"
    elif model is not None:
        yield "judge", model.name
        yield "judge's fingerprint", model.fingerprint
        yield "judge's engine", ", ".join(f"{k} {v}" for k, v in (model.engine or {}).items())
    yield "judgements", numbers.count(judge.judgements)
    yield (
        "judge's tokens",
        f"{numbers.count(judge.tokens['prompt'])} read, "
        f"{numbers.count(judge.tokens['completion'])} written",
    )
    if judge.budget is not None:
        yield "budget", f"{numbers.count(judge.budget)} tokens"
    yield "could not be read", numbers.count(task.said("unparsed"))
    yield "not judged", numbers.count(task.said("unjudged"))
