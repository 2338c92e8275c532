"""Which runs of a board differ beyond chance: every pair, on the items that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from olmes import stats
from olmes.comparison.items import SharedItems, suite_items
from olmes.records.items import Key
from olmes.records.record import Record
from olmes.stats import PairedDifference
from olmes.stats.verdicts import OPPOSITE

MOST_COMPARED = 200
"""Runs of a board that are compared pair by pair: 19,900 pairs, in seconds."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of some runs, or why they were not compared."""

    differences: dict[tuple[int, int], PairedDifference] = field(default_factory=dict)
    """The first run less the second, by their places, each pair once; p-values corrected by Holm."""
    why_not: str = ""
    """Why there are none, in words; '' where there are."""


def pairwise(
    records: Sequence[Record], names: Sequence[str] = (), items: SharedItems | None = None
) -> Pairs:
    """Every pair of runs compared on the items of both, p-values corrected by Holm over the pairs.

    A run that lacks some items takes part with those it has, and takes none from the other pairs.

    Args:
        records: the runs of a board.
        names: the tasks whose mean is compared, an item weighing as it does there; all by default.
        items: what was read of the samples before, each run's values by themselves.
    """
    names = names or list(records[0].tasks)
    if len(records) < 2:
        return Pairs(why_not="there is one run")
    if len(records) > MOST_COMPARED:
        return Pairs(why_not=f"there are more than {MOST_COMPARED} runs")
    lacking = [one for one in records if not all(one.can_be_paired(name) for name in names)]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return Pairs(why_not=f"the samples of {lacking[0].run.model.name}{more} are missing")
    items = items or SharedItems(each=True)
    found: dict[tuple[int, int], PairedDifference] = {}
    groups = by_items(records, names, items)
    for place, group in enumerate(groups):
        found |= compared(records, group, names, items)
        for other in groups[place + 1 :]:
            for one in group:
                for two in other:
                    found |= compared(records, sorted((one, two)), names, items)
    if not found:
        return Pairs(why_not="the runs have no items in common, or their tasks have no mean")
    return Pairs(stats.with_holm(dict(sorted(found.items()))))


def verdict_table(found: Mapping[tuple[int, int], PairedDifference], count: int) -> list[list[str]]:
    """What each of `count` runs is against each other, by their places; itself is ''."""
    table = [[""] * count for _ in range(count)]
    for (one, other), difference in found.items():
        table[one][other] = difference.verdict
        table[other][one] = OPPOSITE.get(difference.verdict, difference.verdict)
    return table


def open_ranks(own: Sequence[str]) -> tuple[int, int]:
    """The first and the last rank that a run's row of `verdict_table` leaves open."""
    return 1 + own.count("worse"), len(own) - own.count("better")


def by_items(
    records: Sequence[Record], names: Sequence[str], items: SharedItems
) -> list[list[int]]:
    """The places of the runs that have a value for the same items."""
    groups: dict[tuple[frozenset[Key], ...], list[int]] = {}
    for place, record in enumerate(records):
        keys = tuple(frozenset(items.keys(name, record)) for name in names)
        groups.setdefault(keys, []).append(place)
    return list(groups.values())


def compared(
    records: Sequence[Record], places: Sequence[int], names: Sequence[str], items: SharedItems
) -> dict[tuple[int, int], PairedDifference]:
    """Every pair of some of the runs, by their places, on the items that all of these have.

    None where they have no item of one of the tasks in common: there is no mean of all tasks then.
    """
    own = [records[place] for place in places]
    if len(own) < 2 or not all(items.of(name, own).values for name in names):
        return {}
    tasks = {name: task_pairs(own, name, items) for name in names}
    found = {}
    for i, j in tasks[names[0]]:
        difference = stats.paired_mean({name: pairs[i, j] for name, pairs in tasks.items()})
        if difference:
            found[places[i], places[j]] = difference
    return found


def task_pairs(
    records: Sequence[Record], name: str, items: SharedItems
) -> dict[tuple[int, int], PairedDifference]:
    """Every pair of some runs on one task."""
    found = suite_items(records, [name], items)
    return stats.all_pairs(
        found.values,
        clusters=found.clusters,
        strata=found.strata,
        sizes=found.sizes,
        higher_is_better=found.higher_is_better,
        is_share=found.is_share,
    )
