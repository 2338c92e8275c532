"""What a run cost: time, memory, and tokens of the model and of its judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from olmes.records.schema import Cost, RunRecord, TaskResult
from olmes.reports import numbers

STAGES = {"answer_s": "answering", "judge_s": "judging", "score_s": "scoring"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """A task's tokens."""

    title: str
    prompt: str
    completion: str
    thought: str
    """Of the tokens written, those of thoughts; '' where none are known."""
    answer: str
    """The others; '' likewise."""
    judge: str
    """Read and written by the judge; a dash where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostView:
    """A run's time, memory and tokens."""

    lines: tuple[CostLine, ...]
    total: CostLine
    times: tuple[tuple[str, str], ...]
    speed: str
    """Tokens that the model wrote a second; '' where it wrote none, or the time is not known."""
    computed: tuple[tuple[str, str], ...]
    """What the model computed and what that took, as labels and values; empty in older records."""


def run_cost(run: RunRecord) -> CostView:
    """A run's time and tokens, as far as its record says."""
    sums = {
        kind: sum(task.tokens.get(kind, 0) for task in run.tasks.values())
        for kind in ("prompt", "completion", "reasoning")
    }
    judged = [spent for task in run.tasks.values() if (spent := _judge_tokens(task)) is not None]
    return CostView(
        lines=tuple(
            _line(run.title(name), task.tokens, _judge_tokens(task))
            for name, task in run.tasks.items()
        ),
        total=_line("All", sums, sum(judged) if judged else None),
        times=tuple(
            (STAGES.get(name, name.removesuffix("_s")), numbers.seconds(value))
            for name, value in run.timing.items()
        ),
        speed=_speed(run.cost) if run.cost else "",
        computed=_computed(run.cost) if run.cost else (),
    )


def _speed(cost: Cost) -> str:
    """Tokens written a second; '' of a recording and of what came from the cache."""
    if not (cost.tokens_per_s and cost.decode_tokens and cost.model_s):
        return ""
    return f"{cost.decode_tokens / cost.model_s:,.0f}"


def _line(title: str, tokens: Mapping[str, int], judge: int | None) -> CostLine:
    """Tokens of a task or of all, by kind."""
    written, thought = tokens.get("completion", 0), tokens.get("reasoning", 0)
    return CostLine(
        title=title,
        prompt=numbers.count(tokens.get("prompt", 0)),
        completion=numbers.count(written),
        thought=numbers.count(thought) if thought else "",
        answer=numbers.count(written - thought) if thought else "",
        judge=numbers.count(judge),
    )


def _computed(cost: Cost) -> tuple[tuple[str, str], ...]:
    """The record's `cost` in words; what is not known is left out."""
    return tuple(
        (label, form(value))
        for name, label, form in MEASURED
        if (value := getattr(cost, name)) is not None and (value or name not in HIDDEN_ZEROS)
    )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


MEASURED: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("requests", "Requests to the model", numbers.count),
    ("reused", "From the cache or an equal request", numbers.count),
    ("prefill_tokens", "Prompt tokens computed", numbers.count),
    ("shared_tokens", "Prompt tokens shared, not computed again", numbers.count),
    ("decode_tokens", "New tokens computed", numbers.count),
    ("reasoning_tokens", "of them thought", numbers.count),
    ("tokens_per_s", "Tokens computed a second", lambda value: f"{value:,.0f}"),
    ("model_s", "In the model", numbers.seconds),
    ("load_s", "Loading", numbers.seconds),
    ("idle_s", "Model idle", numbers.seconds),
    ("scoring_cpu_s", "Scoring (processor time)", numbers.seconds),
    ("gpu_s", "GPU time", numbers.seconds),
    ("peak_rss_bytes", "Peak memory", _gigabytes),
    ("peak_gpu_bytes", "Peak GPU memory", _gigabytes),
    ("sessions", "Sessions (more than one: the run was stopped and resumed)", numbers.count),
)
HIDDEN_ZEROS = (
    "reused", "prefill_tokens", "shared_tokens", "decode_tokens", "reasoning_tokens", "tokens_per_s",
    "model_s", "load_s", "gpu_s", "peak_gpu_bytes",
)  # fmt: skip
"""What is not shown where it is 0."""


def _judge_tokens(task: TaskResult) -> int | None:
    return sum(task.judge.tokens.values()) if task.judge else None
