"""Which runs of a board differ beyond chance: every pair, on the items that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from olmes import stats
from olmes.comparison.items import SharedItems, suite_items
from olmes.records.record import Record
from olmes.stats import PairedDifference

MOST_COMPARED = 30
"""Runs of a board that are compared pair by pair: 435 pairs."""


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
    """Every pair of runs compared on the same items, p-values corrected by Holm over the pairs.

    Args:
        records: the runs of a board.
        names: the tasks whose mean is compared, an item weighing as it does there; all by default.
        items: what was read of the samples before.
    """
    names = names or list(records[0].tasks)
    if len(records) < 2:
        return Pairs(why_not="there is one run")
    if len(records) > MOST_COMPARED:
        return Pairs(why_not=f"there are more than {MOST_COMPARED} runs")
    lacking = [r for r in records if not all(r.can_be_paired(name) for name in names)]
    if lacking:
        who = lacking[0].run.model.name
        others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return Pairs(why_not=f"the samples of {who}{others} are missing")
    found = suite_items(records, names, items or SharedItems())
    if not found.values:
        return Pairs(why_not="the runs have no item in common")
    return Pairs(
        stats.with_holm(
            {
                (one, other): stats.compare(
                    [row[other] for row in found.values],
                    [row[one] for row in found.values],
                    clusters=found.clusters,
                    strata=found.strata,
                    sizes=found.sizes,
                    higher_is_better=found.higher_is_better,
                    is_share=found.is_share,
                    test="t",
                )
                for one in range(len(records))
                for other in range(one + 1, len(records))
            }
        )
    )
