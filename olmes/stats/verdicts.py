"""What a difference says in a word, and the sentence around it: the one rule for every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Verdict = Literal["better", "worse", "tied", "not enough data"]

GLYPHS: Mapping[str, str] = {"better": "▲", "worse": "▼", "tied": "=", "not enough data": "·"}
"""Verdicts where there is no room for words, distinct without colour."""
OPPOSITE: Mapping[str, str] = {"better": "worse", "worse": "better"}
"""What a verdict is from the other run's side, where that is another word."""
ALPHA = 0.05
MARGIN = 0.01
"""Half-width within which two shares count as tied, where nobody says another: one percentage point."""


def tie_margin(margin: float | None, *, is_share: bool) -> float:
    """The margin that was given, or else `MARGIN` for shares and 0 for numbers.

    How much of a length or a loss does not matter nobody but the user can say, so that none are tied.
    """
    if margin is not None:
        return margin
    return MARGIN if is_share else 0.0


def verdict_of(
    low: float | None, high: float | None, p_value: float, margin: float, *, higher_is_better: bool
) -> Verdict:
    """Better, worse, tied or not enough data.

    Tied: the whole interval lies within ± margin, whether or not it holds 0. Better or worse: the
    interval leaves out 0 and the p-value is below 0.05. All else is not enough data, never "no
    difference".

    Args:
        low: of the 95 % interval of candidate less baseline; None where there is none.
        high: the other end.
        p_value: corrected for what was tested beside it.
        margin: half-width within which two runs count as tied, in the metric's unit.
        higher_is_better: which way is better.
    """
    if low is None or high is None:
        return "not enough data"
    if -margin < low and high < margin:
        return "tied"
    if p_value < ALPHA and (low > 0 or high < 0):
        return "better" if (low > 0) == higher_is_better else "worse"
    return "not enough data"


def verdict_sentence(
    verdict: Verdict,
    value: float,
    low: float | None,
    high: float | None,
    p_value: float,
    *,
    is_share: bool,
    of: str,
) -> str:
    """A verdict with its numbers, in percentage points for shares; `of` says of what, as `n = 12`."""
    scale, unit = (100, " points") if is_share else (1, "")
    interval = "no interval from one item"
    if low is not None and high is not None:
        interval = f"95 % interval {scale * low:+.2f} to {scale * high:+.2f}"
    p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"{verdict.capitalize()}: {scale * value:+.2f}{unit} ({interval}, {p}, {of})."
