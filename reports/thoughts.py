"""What pages show of thoughts: their share that never ended, and as much of their text as fits."""

from __future__ import annotations

from typing import cast

from olmes.records.schema import ResponseRow, TaskResult
from olmes.records.shown import THOUGHTS, shown_share

ON_A_PAGE = 20_000_000
"""Characters of thoughts that a page holds of a task, about."""
LONGEST, SHORTEST = 20_000, 2_000
"""Characters of one thought that a page holds at most, of few and of many."""


def room_for_each(thoughts: int) -> int:
    """Characters that a page holds of each of so many thoughts."""
    return max(SHORTEST, min(LONGEST, ON_A_PAGE // max(1, thoughts)))


def shortened(row: ResponseRow, most: int) -> ResponseRow:
    """A row whose thought is no longer than `most` characters: its beginning and its end are kept.

    Then `reasoning_end` has the end, and `reasoning_chars` says how long the whole is.
    """
    response = row.get("response")
    thought = response.get("reasoning", "") if response else ""
    if len(thought) <= most:
        return row
    half = most // 2
    short = {
        **(response or {}),
        "reasoning": thought[:half],
        "reasoning_end": thought[-half:],
        "reasoning_chars": len(thought),
    }
    return cast(ResponseRow, {**row, "response": short})


def issue_words(flag: str, words: str, task: TaskResult) -> str:
    """The words for a flag, with its share where it is one of thoughts."""
    return f"{words} ({shown_share(task.said(flag), task.n)})" if flag in THOUGHTS else words
