"""Several responses to one item: the best, the worst and the commonest of k of them.

Each is the mean over all C(n, k) ways to take k of an item's n responses, not over some that were
drawn, so that it is unbiased and there is no seed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any

from olmes.errors import OlmesError
from olmes.stats.estimates import Estimate, mean

MOST_VOTES = 256
"""With more responses to an item than this, counting every way would take seconds for each item."""


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that one of k responses is right, from n responses of which `correct` are.

    1 - C(n - correct, k)/C(n, k), unbiased (Chen et al. 2021, arXiv 2107.03374, eq. 1). In whole
    numbers up to the one division, so that nothing is lost at large n.

    Raises:
        OlmesError: there are fewer than k responses.
        ValueError: `correct` is not between 0 and n, or k is below 1.
    """
    ways = subsets(n, correct, k, "pass@")
    return (ways - math.comb(n - correct, k)) / ways


def pass_hat_k(n: int, correct: int, k: int) -> float:
    """The chance that all of k responses are right, from n responses of which `correct` are: pass^k.

    C(correct, k)/C(n, k), unbiased (Yao et al. 2024, arXiv 2406.12045, section 2).

    Raises:
        OlmesError: there are fewer than k responses.
        ValueError: `correct` is not between 0 and n, or k is below 1.
    """
    return math.comb(correct, k) / subsets(n, correct, k, "pass^")


def subsets(n: int, correct: int, k: int, name: str) -> int:
    """C(n, k), where the three make sense."""
    if not 0 <= correct <= n or k < 1:
        raise ValueError(f"{name}{k} of {correct} right among {n} responses")
    if n < k:
        raise OlmesError(
            f"{name}{k} needs {k} responses to each item and one has {n}; add repeats."
        )
    return math.comb(n, k)


def best_of_k(values: Sequence[float], k: int, *, higher_is_better: bool = True) -> float:
    """The mean over all ways to take k of the values of the best of them; of 0 and 1 it is pass@k.

    Raises:
        OlmesError: there are fewer than k values.
    """
    if higher_is_better and set(values) <= {0, 1}:
        return pass_at_k(len(values), round(sum(values)), k)
    return extreme_of_k(sorted(values, reverse=not higher_is_better), k)


def worst_of_k(values: Sequence[float], k: int, *, higher_is_better: bool = True) -> float:
    """The same of the worst of them; of 0 and 1 it is pass^k.

    Raises:
        OlmesError: there are fewer than k values.
    """
    if higher_is_better and set(values) <= {0, 1}:
        return pass_hat_k(len(values), round(sum(values)), k)
    return extreme_of_k(sorted(values, reverse=higher_is_better), k)


def extreme_of_k(ordered: Sequence[float], k: int) -> float:
    """The mean over all ways to take k of some values of the one that stands last.

    The i-th is last in C(i - 1, k - 1) of them: the other k - 1 stand before it.
    """
    ways = subsets(len(ordered), 0, k, "best@")
    return math.fsum(math.comb(place, k - 1) / ways * value for place, value in enumerate(ordered))


Votes = Sequence[tuple[Hashable, float]]
"""An item's responses: each one's answer (None where it gives none) and its value."""


def majority_at_k(votes: Votes) -> tuple[float, ...]:
    """What the commonest answer of k responses is worth, for k from 1 to all of them: maj@k.

    Self-consistency (Wang et al. 2023, arXiv 2203.11171), as the mean over all C(n, k) ways to take
    k. Answers that are equally common have equal chances. A response without an answer has no vote;
    where none of k has one, the value is the mean of those that have none. An answer is worth the
    mean of its responses' values, which are the same where the answer alone decides on them.

    Raises:
        ValueError: there are no responses, or more than `MOST_VOTES`.
    """
    if not 0 < len(votes) <= MOST_VOTES:
        raise ValueError(f"maj@k is of 1 to {MOST_VOTES} responses, not of {len(votes)}")
    values: dict[Hashable, list[float]] = {}
    for answer, value in votes:
        values.setdefault(answer, []).append(value)
    silent = values.pop(None, [])
    groups = sorted((len(own), math.fsum(own) / len(own)) for own in values.values())
    without = math.fsum(silent) / len(silent) if silent else 0.0
    return counted_majority(tuple(groups), len(silent), without)


@lru_cache(maxsize=4096)
def counted_majority(
    groups: tuple[tuple[int, float], ...], silent: int, without: float
) -> tuple[float, ...]:
    """As `majority_at_k`, of answers by how often each was given and what it is worth.

    For each number of votes a that can win, every answer gives fewer than a votes, or a and is one of
    those that win. A polynomial in x counts the ways by how many responses were taken; beside the
    ways, by how many answers win, stands the sum of what the winners are worth over the ways.

    Args:
        groups: of each answer, how many responses gave it, and its value.
        silent: responses without an answer.
        without: what they are worth.
    """
    import numpy as np

    n = silent + sum(size for size, _ in groups)
    total = choices(n, n)
    found = without * choices(silent, n)
    for won in range(1, max((size for size, _ in groups), default=0) + 1):
        able = [group for group in groups if group[0] >= won]
        others = n - sum(size for size, _ in able)
        if len(able) == 1:  # nobody else can have so many: the rest is taken as it comes
            [(size, value)] = able
            ways_left = choices(others, n)[: n + 1 - won]
            found[won:] += value * float(math.comb(size, won)) * ways_left
            continue
        most = min(len(able), n // won)
        ways = np.zeros((most + 1, n + 1))
        ways[0] = choices(others, n)
        worth = np.zeros_like(ways)
        for size, value in able:
            fewer = choices(size, won - 1)
            win = float(math.comb(size, won))
            more_ways, more_worth = spread(ways, fewer), spread(worth, fewer)
            more_ways[1:, won:] += win * ways[:-1, : n + 1 - won]
            more_worth[1:, won:] += win * (worth + value * ways)[:-1, : n + 1 - won]
            ways, worth = more_ways, more_worth
        winners = np.arange(1, most + 1)[:, None]
        found = found + (worth[1:] / winners).sum(axis=0)
    return tuple(float(share) for share in (found / total)[1:])


@lru_cache(maxsize=4096)
def choices(size: int, most: int) -> Any:
    """C(size, 0) to C(size, most); not to be written to."""
    import numpy as np

    return np.array([float(math.comb(size, k)) for k in range(most + 1)])


def spread(ways: Any, further: Any) -> Any:
    """Polynomials, one a row, times another, without what is of too high a degree."""
    import numpy as np

    out = np.zeros_like(ways)
    for k, factor in enumerate(further):
        out[:, k:] += factor * ways[:, : ways.shape[1] - k]
    return out


def run_to_run(means: Sequence[float | None]) -> float | None:
    """How far the whole mean moves from run to run on the same items: its sd over repeats.

    Each repeat of every item is one run, with new samples of the same items. None for fewer than two.
    """
    known = [value for value in means if value is not None]
    if len(known) < 2:
        return None
    centre = math.fsum(known) / len(known)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in known) / (len(known) - 1))


def mean_pass_at_k(
    counts: Sequence[tuple[int, int]], k: int, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """pass@k over items, from (responses, right ones) an item.

    Its error is that of a mean over items, which holds both the choice of the items and the luck of
    the responses (Miller 2024, section 3.1).
    """
    return mean([pass_at_k(n, correct, k) for n, correct in counts], clusters)
