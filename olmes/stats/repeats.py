"""Several responses to one item: pass@k."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from olmes.errors import OlmesError
from olmes.stats.estimates import Estimate, mean


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that one of k responses is right, from n responses of which `correct` are.

    1 - C(n - correct, k)/C(n, k), unbiased (Chen et al. 2021, arXiv 2107.03374, eq. 1). In whole
    numbers up to the one division, so that nothing is lost at large n.

    Raises:
        OlmesError: there are fewer than k responses.
        ValueError: `correct` is not between 0 and n, or k is below 1.
    """
    if not 0 <= correct <= n or k < 1:
        raise ValueError(f"pass@{k} of {correct} right among {n} responses")
    if n < k:
        raise OlmesError(f"pass@{k} needs {k} responses to each item and one has {n}; add repeats.")
    ways = math.comb(n, k)
    return (ways - math.comb(n - correct, k)) / ways


def mean_pass_at_k(
    counts: Sequence[tuple[int, int]], k: int, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """pass@k over items, from (responses, right ones) an item.

    Its error is that of a mean over items, which holds both the choice of the items and the luck of
    the responses (Miller 2024, section 3.1).
    """
    return mean([pass_at_k(n, correct, k) for n, correct in counts], clusters)
