"""Log-probabilities of an answer's likeliest first tokens (`Request.top_logprobs`), by their text."""

from __future__ import annotations

import math
from collections.abc import Iterable

THOUGHT_FIRST = (
    "the log-probabilities of the answer's first token are asked for, and this model thinks before it "
    "answers; ask a model without thoughts (--thinking off where it is the evaluated one)"
)
"""Why a response that begins with a thought has none."""


def by_text(tokens: Iterable[tuple[str, float]], most: int) -> dict[str, float]:
    """Natural-log probabilities of at most so many tokens by their text, the likeliest first.

    Different tokens can be written alike (a mark of the beginning of a word is not shown by every
    tokenizer): their probabilities are added up.
    """
    found: dict[str, float] = {}
    for text, value in sorted(tokens, key=lambda one: -one[1])[:most]:
        found[text] = log_sum(found[text], value) if text in found else value
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def log_sum(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities that are given by theirs."""
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))
