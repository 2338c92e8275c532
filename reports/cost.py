"""What a run cost: time, and tokens read and written by the model and by its judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import numbers

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
class Cost:
    """A run's time and tokens."""

    lines: tuple[CostLine, ...]
    total: CostLine
    times: tuple[tuple[str, str], ...]
    speed: str
    """Tokens written a second of answering; '' where the time is not known."""


def run_cost(run: dict[str, Any]) -> Cost:
    """A run's time and tokens, as far as its record says."""
    tasks = run["tasks"]
    sums = {
        kind: sum((task.get("tokens") or {}).get(kind, 0) for task in tasks.values())
        for kind in ("prompt", "completion")
    }
    judged = [spent for task in tasks.values() if (spent := _judge_tokens(task)) is not None]
    timing = run.get("timing") or {}
    answering = timing.get("answer_s")
    return Cost(
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
    )


def _judge_tokens(task: dict[str, Any]) -> int | None:
    judge = task.get("judge")
    return sum(judge["tokens"].values()) if judge else None


def _count(value: int | None) -> str:
    return numbers.MISSING if value is None else numbers.count(value)
