"""How a number of a record is written: the one answer for terminal, pages, tables, exports, server.

Shares (0 to 1) are written as percentages without the sign, with one decimal; numbers as they are,
with three digits or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from olmes.records.aggregate import items_over
from olmes.records.schema import MetricScore, Score, TaskResult
from olmes.types import Unit

MISSING = "–"
TOO_FEW = "too few items for an interval"
"""Instead of an interval that holds everything there could be."""
LOWER = "↓"
NUMBER = "#"
MARKS = {LOWER: "lower is better", NUMBER: "a number, not a percentage"}
"""What the signs behind a metric's name mean."""
THOUGHTS = {
    "unfinished_thinking": "ended inside their thought",
    "thought_marks": "hold marks of a thought",
}
"""What can go wrong with responses that are a thought and an answer, by flag: words to stand behind
their share. Tables show it only where there is any."""


class Flagged(Protocol):
    """A task's responses by what happened: of a record, or of recorded responses."""

    @property
    def counts(self) -> Mapping[str, int]:
        """By flag."""

    @property
    def n(self) -> int:
        """Responses."""


def shown(value: float | None, unit: Unit) -> str:
    """A value in its unit; a dash where there is none, or none that is finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    return unsigned_zero(
        f"{value * 100:,.1f}" if unit == "share" else f"{value:,.{decimals(value)}f}"
    )


def shown_interval(score: Score, unit: Unit) -> str:
    """The 95 % interval as `[low, high]`; a dash where there is none."""
    return interval(score.ci_low, score.ci_high, unit)


def interval(low: float | None, high: float | None, unit: Unit) -> str:
    """Two ends as `[low, high]`, with as many decimals; a dash where there is none.

    An interval that rules out no share at all is none: `TOO_FEW`.
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    if unit == "share":
        whole = low <= 0 and high >= 1
        return TOO_FEW if whole else f"[{shown(low, unit)}, {shown(high, unit)}]"
    digits = decimals(max(abs(low), abs(high)))
    return f"[{unsigned_zero(f'{low:,.{digits}f}')}, {unsigned_zero(f'{high:,.{digits}f}')}]"


def shown_difference(value: float | None, unit: Unit) -> str:
    """A difference with its sign, of shares in percentage points: `+12.3`, `−0.4`."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value * 100:+,.1f}" if unit == "share" else f"{value:+,.{decimals(value)}f}"
    return unsigned_zero(text.replace("-", "−"))


def difference_interval(low: float | None, high: float | None, unit: Unit) -> str:
    """The two ends of a difference with their signs, with as many decimals; else as `interval`."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    if unit == "share":
        whole = low <= -1 and high >= 1
        return (
            TOO_FEW if whole else f"[{shown_difference(low, unit)}, {shown_difference(high, unit)}]"
        )
    digits = decimals(max(abs(low), abs(high)))
    ends = [unsigned_zero(f"{end:+,.{digits}f}".replace("-", "−")) for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def shown_count(values: int, responses: int, items: int | None) -> str:
    """How many items a number is over: `400`, `400 (1,200 responses)`, `541 (834 parts)`.

    Args:
        values: that the number is a mean of (`Score.n`).
        responses: of the task.
        items: that these are of; None in older records, whose values are counted.
    """
    if items is None or (values <= items and responses <= items):
        return f"{values:,}"
    return f"{items:,} ({values:,} {'parts' if values > responses else 'responses'})"


def count_over(values: int, tasks: Sequence[TaskResult]) -> str:
    """As `shown_count`, of a number of one task or of several."""
    return shown_count(values, sum(task.n for task in tasks), items_over(tasks))


def shown_share(count: int, of: int) -> str:
    """A count as the share of all: `24.0 %`."""
    return f"{shown(count / of if of else None, 'share')} %"


def shown_p(value: float | None) -> str:
    """A p-value with three decimals; `< 0.001` below that."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def shown_thoughts(tasks: Iterable[Flagged]) -> list[str]:
    """Which share of some tasks' responses has no answer for its thought never ended, or holds marks.

    `24.0 % of the responses ended inside their thought`; empty where there are none.
    """
    found = list(tasks)
    n = sum(task.n for task in found)
    counts = {flag: sum(task.counts.get(flag, 0) for task in found) for flag in THOUGHTS}
    return [
        f"{shown_share(counts[flag], n)} of the responses {words}"
        for flag, words in THOUGHTS.items()
        if counts[flag]
    ]


def decimals(value: float) -> int:
    """Decimals of a number that is not a share."""
    return 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3


def unsigned_zero(text: str) -> str:
    """The text, without the sign of a zero."""
    bare = text.lstrip("+-−")
    return bare if not bare.strip("0.") else text


def metric_label(name: str, metric: MetricScore) -> str:
    """A metric's name with the signs that its direction and unit need (`MARKS`)."""
    return " ".join([name, *signs_of(metric)])


def marks_of(metric: MetricScore) -> list[str]:
    """The same in words; empty for a share of which more is better."""
    return [MARKS[sign] for sign in signs_of(metric)]


def signs_of(metric: MetricScore) -> list[str]:
    """The signs alone."""
    signs = [LOWER] if not metric.higher_is_better else []
    return signs + ([NUMBER] if metric.unit == "number" else [])
