"""How fast an evaluation under way goes on, in words."""

from __future__ import annotations


def pace_words(tokens_per_s: float | None, left_s: float | None) -> str:
    """`120 tokens/s, 3 min left`; '' where neither is known."""
    found = [] if tokens_per_s is None else [f"{tokens_per_s:,.0f} tokens/s"]
    return ", ".join(found + ([f"{time_words(left_s)} left"] if left_s else []))


def time_words(seconds: float) -> str:
    """A length of time in its largest unit: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"
