"""Totals and sizes by cluster, of which every number with its error is made."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from itertools import compress

from olmes import stats
from olmes.records.items import cluster_of
from olmes.records.schema import ResponseRow
from olmes.stats import Estimate


class Clusters:
    """What rows' errors are clustered by, numbered as they appear."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], int] = {}
        self.subtasks: list[str] = []
        """The sub-task of each cluster."""

    def number(self, row: ResponseRow) -> int:
        """The number of a row's cluster."""
        key = cluster_of(row)
        if (found := self.numbers.get(key)) is None:
            found = self.numbers[key] = len(self.subtasks)
            self.subtasks.append(row["subtask"])
        return found


class Sums:
    """One metric's total and size by cluster."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self.places = array("q")
        """By the cluster's number: where its total and size stand, in the order in which clusters
        had their first value; -1 before that."""
        self.numbers, self.totals, self.sizes = array("q"), array("d"), array("d")
        self.no_shares: set[str] = set()
        """Sub-tasks with a value that does not lie between 0 and 1."""

    def add(self, cluster: int, parts: Sequence[float], *, over_parts: bool) -> None:
        """Add one row's value: the parts of a metric over parts, else one number."""
        if cluster >= len(self.places):
            self.places.extend([-1] * (cluster + 1 - len(self.places)))
        if (place := self.places[cluster]) < 0:
            place = self.places[cluster] = len(self.totals)
            self.numbers.append(cluster)
            self.totals.append(0.0)
            self.sizes.append(0.0)
        self.totals[place] += math.fsum(parts)
        self.sizes[place] += len(parts)
        if not over_parts and not 0 <= parts[0] <= 1:
            self.no_shares.add(self.clusters.subtasks[cluster])

    def estimated(self, subtask: str | None = None) -> Estimate | None:
        """The metric over all rows or those of a sub-task, its error clustered (`cluster_of`)."""
        totals: Sequence[float] = self.totals
        sizes: Sequence[float] = self.sizes
        if subtask is not None:
            own = [self.clusters.subtasks[number] == subtask for number in self.numbers]
            totals, sizes = list(compress(totals, own)), list(compress(sizes, own))
        if not sum(sizes):
            return None
        return stats.ratio(totals, sizes, is_share=self.is_share(subtask))

    def is_share(self, subtask: str | None = None) -> bool:
        """Whether every value lies between 0 and 1, so that the mean is a share."""
        return not self.no_shares if subtask is None else subtask not in self.no_shares
