"""What a run cost: time, memory, and tokens of the model and of its judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from olmes.reports import numbers

STAGES = {"answer_s": "answering", "judge_s": "judging", "score_s": "scoring"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """A task's tokens."""

    title: str
    prompt: str
    completion: str
    judge: str
    """Read and written by the judge; a dash where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostView:
    """A run's time, memory and tokens."""

    lines: tuple[CostLine, ...]
    total: CostLine
    times: tuple[tuple[str, str], ...]
    speed: str
    """Tokens written a second of answering; '' where the time is not known."""
    computed: tuple[tuple[str, str], ...]
    """What the model computed and what that took, as labels and values; empty in older records."""


def run_cost(run: dict[str, Any]) -> CostView:
    """A run's time and tokens, as far as its record says."""
    tasks = run["tasks"]
    sums = {
        kind: sum((task.get("tokens") or {}).get(kind, 0) for task in tasks.values())
        for kind in ("prompt", "completion")
    }
    judged = [spent for task in tasks.values() if (spent := _judge_tokens(task)) is not None]
    timing = run.get("timing") or {}
    answering = timing.get("answer_s")
    return CostView(
        lines=tuple(
            CostLine(
                title=task.get("title") or name,
                prompt=numbers.count((task.get("tokens") or {}).get("prompt", 0)),
                completion=numbers.count((task.get("tokens") or {}).get("completion", 0)),
                judge=_count(_judge_tokens(task)),
            )
            for name, task in tasks.items()
        ),
        total=CostLine(
            title="All",
            prompt=numbers.count(sums["prompt"]),
            completion=numbers.count(sums["completion"]),
            judge=_count(sum(judged) if judged else None),
        ),
        times=tuple(
            (STAGES.get(name, name.removesuffix("_s")), numbers.seconds(value))
            for name, value in timing.items()
        ),
        speed=f"{sums['completion'] / answering:,.0f}" if answering else "",
        computed=_computed(run.get("cost") or {}),
    )


def _computed(cost: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The record's `cost` in words; what is not known is left out."""
    shown = [
        (label, form(cost[name]))
        for name, label, form in MEASURED
        if cost.get(name) is not None and (cost[name] or name not in UNSAID)
    ]
    return tuple(shown)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


MEASURED: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("requests", "Requests to the model", numbers.count),
    ("reused", "From the cache or an equal request", numbers.count),
    ("prefill_tokens", "Prompt tokens computed", numbers.count),
    ("shared_tokens", "Prompt tokens shared, not computed again", numbers.count),
    ("decode_tokens", "New tokens computed", numbers.count),
    ("tokens_per_s", "Tokens computed a second", lambda value: f"{value:,.0f}"),
    ("model_s", "In the model", numbers.seconds),
    ("load_s", "Loading", numbers.seconds),
    ("idle_s", "Model idle", numbers.seconds),
    ("scoring_cpu_s", "Scoring (processor time)", numbers.seconds),
    ("gpu_s", "GPU time", numbers.seconds),
    ("peak_rss_bytes", "Peak memory", _gigabytes),
    ("peak_gpu_bytes", "Peak GPU memory", _gigabytes),
    ("sessions", "Sessions, of a run that was stopped and went on", numbers.count),
)
UNSAID = ("reused", "shared_tokens", "gpu_s", "peak_gpu_bytes")
"""What is not shown where it is 0."""


def _judge_tokens(task: dict[str, Any]) -> int | None:
    judge = task.get("judge")
    return sum(judge["tokens"].values()) if judge else None


def _count(value: int | None) -> str:
    return numbers.MISSING if value is None else numbers.count(value)
