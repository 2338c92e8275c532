"""The estimate of a mean over items as a record has it: of a task, its sub-tasks, or a suite."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from olmes.stats.averages import macro
from olmes.stats.estimates import Estimate, cluster_sums, ratio
from olmes.stats.strata import stratum_weights, whole_of
from olmes.stats.suites import suite_mean


def nested_mean(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
    is_share: bool,
) -> Estimate:
    """The mean of items with the interval that a task or a suite of them has.

    Without `strata` it is the clustered mean (`ratio`); strata are averaged as sub-tasks (`macro`),
    and where a label is a `Part`, the wholes as the tasks of a suite (`suite_mean`).

    Args:
        values: one an item, (n,); where `sizes` are given, an item's mean over its parts.
        clusters: label of what an item shares with others, (n,).
        strata: label of an item's sub-task, (n,).
        sizes: parts of an item, (n,); 1 when not given.
        is_share: whether the values are shares.
    """
    everything = list(range(len(values)))

    def estimate(own: Sequence[int]) -> Estimate:
        totals, parts = cluster_sums(
            [values[i] for i in own],
            None if clusters is None else [clusters[i] for i in own],
            None if sizes is None else [sizes[i] for i in own],
        )
        return ratio(totals, parts, is_share=is_share)

    def average(own: Sequence[int], labels: Sequence[Hashable]) -> Estimate:
        groups = grouped(own, labels)
        if len(groups) == 1:
            return estimate(own)
        found = {str(place): estimate(group) for place, group in enumerate(groups.values())}
        weights = stratum_weights(list(groups))
        return macro(found, estimate(own), is_share=is_share, weights=weights)

    if strata is None:
        return estimate(everything)
    of_whole = [whole_of(label) for label in strata]
    if not any(whole is not None for whole in of_whole):
        return average(everything, strata)
    wholes = grouped(everything, of_whole)
    tasks = {str(place): average(own, strata) for place, own in enumerate(wholes.values())}
    mean = suite_mean(tasks, is_share=is_share)
    assert mean is not None
    return mean


def grouped(items: Sequence[int], labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Items by their label, in the order in which labels appear."""
    found: dict[Hashable, list[int]] = {}
    for item in items:
        found.setdefault(labels[item], []).append(item)
    return found
