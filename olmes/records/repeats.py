"""Several responses to each item, from rows to numbers: pass@k, pass^k, maj@k, the noise of a run.

The metric's own value is avg@n. Whatever has no value for a metric (its request failed, its scorer
broke) is left out here as it is left out of the mean; an item with fewer than k values left is not in
the numbers of that k, and the whole is marked as not complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Protocol

from olmes import stats
from olmes.records.items import Key, key_of, parts_of
from olmes.records.schema import AtK, MetricRepeats, ResponseRow, Score, TaskRepeats
from olmes.records.sums import Clusters, Sums
from olmes.stats import Estimate
from olmes.stats.repeats import MOST_VOTES

EVERY_K = 32
"""Up to this many every k is in the record, so that one can be chosen later; beyond it powers of 2."""
Overall = Callable[[Sums], Estimate | None]
"""A task's number from sums: over all items, or the mean of its sub-tasks' numbers."""


class NamedMetric(Protocol):
    """What is asked of a metric."""

    @property
    def name(self) -> str:
        """As values are recorded under it."""

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""

    @property
    def settled(self) -> bool:
        """Whether it is of all responses to an item already."""


class Voting(Protocol):
    """What is asked of a task, or of what a record says of one."""

    @property
    def metrics(self) -> Sequence[NamedMetric]:
        """Its metrics."""

    @property
    def decisive(self) -> str:
        """The name of the one that each scored response has a value of."""

    def vote(self, extracted: Any, /) -> str | None:
        """What an extracted answer votes for."""


@dataclass(slots=True)
class Repeated:
    """One item's responses."""

    cluster: int
    values: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    """By metric: of each response that has a value, one number a part."""
    answers: dict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))
    """By metric: what these responses vote for."""


class RepeatCounter:
    """The numbers of several responses an item, from rows that are added one by one."""

    def __init__(self, task: Voting, clusters: Clusters) -> None:
        self.task = task
        self.metrics = [metric for metric in task.metrics if not metric.settled]
        self.clusters = clusters
        self.items: dict[Key, Repeated] = {}
        self.taken: dict[Key, set[int]] = {}
        """By item: which repeats there are."""
        self.votes = False
        """Whether the task extracts answers at all."""
        self.runs: dict[str, dict[int, Sums]] = {metric.name: {} for metric in self.metrics}
        """By metric and repeat: all items with that response of each."""

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        key = key_of(row)
        taken = self.taken.setdefault(key, set())
        # Rows of other programs may not say which response they are.
        repeat = row["repeat"]
        while repeat in taken:
            repeat += 1
        taken.add(repeat)
        unparsed = "unparsed" in row["flags"]
        vote = None if unparsed else self.task.vote(row["extracted"])
        self.votes = self.votes or vote is not None
        if (item := self.items.get(key)) is None:
            item = self.items[key] = Repeated(self.clusters.number(row))
        for metric, runs in self.runs.items():
            if parts := parts_of(row, metric):
                item.values[metric].append(parts)
                item.answers[metric].append(vote)
                over_parts = isinstance(row["values"][metric], list)
                runs.setdefault(repeat, Sums(self.clusters)).add(
                    item.cluster, parts, over_parts=over_parts
                )

    def counted(self, overall: Overall, chosen: Sequence[int] = ()) -> TaskRepeats | None:
        """The numbers; None where no item has several responses.

        Args:
            overall: how the task makes a number of sums.
            chosen: the k to be shown; without them 1, 2, 4, ..., n.
        """
        n = max(map(len, self.taken.values()), default=0)
        if n < 2:
            return None
        shown = [k for k in sorted(set(chosen)) if k <= n] or powers(n)
        ks = sorted({*range(1, min(n, EVERY_K) + 1), *powers(n), *shown})
        valued = [len(item.values[self.task.decisive]) for item in self.items.values()]
        return TaskRepeats(
            n=n,
            complete=all(count == n for count in valued),
            k=shown,
            metrics={
                metric.name: self.of_metric(metric.name, ks, overall, metric.higher_is_better)
                for metric in self.metrics
                if self.runs[metric.name]
            },
        )

    def of_metric(
        self, metric: str, ks: Sequence[int], overall: Overall, higher: bool
    ) -> MetricRepeats:
        """What one metric says."""
        found = {k: (Sums(self.clusters), Sums(self.clusters), Sums(self.clusters)) for k in ks}
        binary = higher
        for item in self.items.values():
            units = units_of(item.values[metric])
            binary = binary and all(value in (0, 1) for unit in units for value in unit)
            elected = self.elected(item, metric)
            for k, (best, worst, majority) in found.items():
                taken = [unit for unit in units if len(unit) >= k]
                if not taken:
                    continue
                over_parts = len(taken) > 1
                best.add(
                    item.cluster,
                    [stats.best_of_k(unit, k, higher_is_better=higher) for unit in taken],
                    over_parts=over_parts,
                )
                worst.add(
                    item.cluster,
                    [stats.worst_of_k(unit, k, higher_is_better=higher) for unit in taken],
                    over_parts=over_parts,
                )
                if elected:
                    majority.add(item.cluster, [elected[k - 1]], over_parts=False)
        runs = self.runs[metric]
        means = [
            estimate.value if (sums := runs.get(repeat)) and (estimate := overall(sums)) else None
            for repeat in range(max(runs) + 1)
        ]
        return MetricRepeats(
            binary=binary,
            at=[
                AtK(
                    k=k,
                    best=Score.of(overall(best)),
                    worst=Score.of(overall(worst)),
                    majority=Score.of(overall(majority)) if majority.totals else None,
                )
                for k, (best, worst, majority) in found.items()
            ],
            means=means,
            sd=stats.run_to_run(means),
        )

    def elected(self, item: Repeated, metric: str) -> tuple[float, ...]:
        """maj@1, maj@2, ... of an item; nothing where no answers are extracted, or over parts."""
        values = item.values[metric]
        whole = all(len(parts) == 1 for parts in values)
        if not (self.votes and whole and 0 < len(values) <= MOST_VOTES):
            return ()
        answers = item.answers[metric]
        return stats.majority_at_k(
            [(answer, parts[0]) for answer, parts in zip(answers, values, strict=True)]
        )


def units_of(responses: Sequence[Sequence[float]]) -> list[list[float]]:
    """What is right or wrong on its own, with its value in each response: the item, or its parts.

    Where responses have different parts, the mean of each is the item's value.
    """
    if len({len(parts) for parts in responses}) > 1:
        return [[fmean(parts) for parts in responses]]
    return [list(unit) for unit in zip(*responses, strict=True)]


def powers(n: int) -> list[int]:
    """1, 2, 4, ... below n, and n."""
    return [*(2**power for power in range(n.bit_length()) if 2**power < n), n]


def several(rows: Iterable[ResponseRow]) -> bool:
    """Whether some item has more than one response among rows."""
    seen: set[Key] = set()
    for row in rows:
        if (key := key_of(row)) in seen:
            return True
        seen.add(key)
    return False
