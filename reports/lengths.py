"""How long a task's responses are, how much of that is thought, and how many ran into a limit."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from olmes.records.schema import ResponseRow, TaskResult
from olmes.records.shown import MISSING, shown_share
from olmes.reports import numbers
from olmes.reports.links import Link

BINS = 24
"""Bars of a histogram."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a histogram, in a drawing 100 wide and 24 high."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """A task's lengths, ready to be shown."""

    title: str
    mean: str
    median: str
    """A dash where the samples are under seal: then only the sum is known."""
    longest: str
    limit: str
    truncated: str
    truncated_share: str
    truncated_link: str
    thought: str
    """Mean tokens of the thoughts; '' where none is known."""
    answer: str
    """Mean tokens of what is no thought; '' likewise."""
    unfinished: str
    """Thoughts that never ended; '' where there are none."""
    unfinished_share: str
    unfinished_link: str
    bins: tuple[Bin, ...]
    words: str
    """The histogram in words."""


class ResponseLengths:
    """Responses by their tokens, task by task, as the rows pass (a `RowCollector`)."""

    def __init__(self) -> None:
        self.tasks: dict[str, Counter[int]] = {}

    def see(self, task: str, row: ResponseRow) -> None:
        """Count a response, where there is one."""
        if (response := row.get("response")) and not response.get("error"):
            lengths = self.tasks.setdefault(task, Counter())
            lengths[response["completion_tokens"]] += 1

    def of(self, task: str) -> Mapping[int, int]:
        """Responses to a task by their tokens; empty where no row was seen."""
        return self.tasks.get(task, {})


def length_view(
    name: str, task: TaskResult, lengths: Mapping[int, int], link: Link
) -> Lengths | None:
    """The lengths of a task's responses in tokens.

    Args:
        name: the task.
        task: its result.
        lengths: responses by their tokens; empty where the samples are under seal.
        link: makes the links to the samples.

    Returns:
        None for a task whose responses are not generated (continuations that are weighed).
    """
    total, n = task.tokens.get("completion", 0), task.n
    if not n or not total:
        return None
    generation = task.formulation.get("generation") or {}
    limit = generation.get("max_tokens")
    truncated = task.said("truncated")
    thought, unfinished = task.tokens.get("reasoning", 0), task.said("unfinished_thinking")
    most = max([*lengths, limit or 0])
    return Lengths(
        title=task.title or name,
        mean=f"{total / n:,.0f}",
        median=f"{_median(lengths):,.0f}" if lengths else MISSING,
        longest=numbers.count(max(lengths)) if lengths else MISSING,
        limit=numbers.count(limit) if limit else MISSING,
        truncated=numbers.count(truncated),
        truncated_share=shown_share(truncated, n),
        truncated_link=link(task=name, flag="truncated") if truncated else "",
        thought=f"{thought / n:,.0f}" if thought else "",
        answer=f"{(total - thought) / n:,.0f}" if thought else "",
        unfinished=numbers.count(unfinished) if unfinished else "",
        unfinished_share=shown_share(unfinished, n) if unfinished else "",
        unfinished_link=link(task=name, flag="unfinished_thinking") if unfinished else "",
        bins=_histogram(lengths, most),
        words=f"Histogram from 0 to {numbers.count(most)} tokens",
    )


def _median(lengths: Mapping[int, int]) -> float:
    ends = list(accumulate(lengths[length] for length in sorted(lengths)))
    middle = [bisect_right(ends, at) for at in ((ends[-1] - 1) // 2, ends[-1] // 2)]
    return sum(sorted(lengths)[at] for at in middle) / 2


def _histogram(lengths: Mapping[int, int], most: int) -> tuple[Bin, ...]:
    if not lengths:
        return ()
    counts = [0] * BINS
    for length, responses in lengths.items():
        counts[min(BINS - 1, length * BINS // max(most, 1))] += responses
    width, highest = 100 / BINS, max(counts)
    return tuple(
        Bin(
            round(at * width, 2),
            round(width - 0.4, 2),
            round(24 - 24 * part, 2),
            round(24 * part, 2),
        )
        for at, number in enumerate(counts)
        if number
        for part in [max(number / highest, 0.04)]
    )
