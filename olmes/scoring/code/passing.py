"""pass@k of an item, from its responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from olmes import Scored
from olmes.stats import pass_at_k


def settled_passes(
    responses: Sequence[Scored], k: int, of: Mapping[str, str]
) -> list[dict[str, float]]:
    """The unbiased pass@k of each response's item (Chen et al. 2021, arXiv 2107.03374, eq. 1).

    Args:
        responses: all of the set, each with the values of its scorers.
        k: of how many responses one must pass.
        of: the settled metric by the metric whose passes it counts.

    Returns:
        The values by settled metric, for each response; none for an item with fewer than k responses
        that have a value.
    """
    found: dict[tuple[str, int, str], list[bool]] = defaultdict(list)
    for response in responses:
        for name in of:
            if name in response.values:
                key = (response.subtask, response.doc_id, name)
                found[key].append(response.values[name] > 0)
    settled: list[dict[str, float]] = []
    for response in responses:
        values = {}
        for name, metric in of.items():
            passed = found[response.subtask, response.doc_id, name]
            if len(passed) >= k:
                values[metric] = pass_at_k(len(passed), sum(passed), k)
        settled.append(values)
    return settled
