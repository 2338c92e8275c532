"""What the ablations of a mixture speak for: each source's next weight, and why.

The rule is on one screen (`advice_of`), and every sentence has the number that it goes by. Nothing here
changes a mixture: it is read, and accepted or not, by whoever trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from olmes.comparison.ablations import MEAN, AblationColumn, AblationRow, Ablations
from olmes.records.shown import shown
from olmes.stats import PairedDifference
from olmes.types import Unit

NAMED = 3
"""Scores that a reason names, at most; the table has all of them."""
Reading = Literal["better", "worse", "mixed", "tied", "nothing shown"]
"""What a variant's differences say together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A source's weight in this round and in the one proposed, with the reason."""

    source: str
    weight: float
    proposed: float
    """0 leaves the source out."""
    reason: str

    @property
    def changes(self) -> bool:
        """Whether another weight is proposed."""
        return self.proposed != self.weight


def advise(found: Ablations, weights: Mapping[str, float]) -> list[Advice]:
    """The advice for every source, in the order of the mixture.

    Args:
        found: of the round.
        weights: of the full mixture, by source.
    """
    advice = [advice_of(source, weight, found) for source, weight in weights.items()]
    if any(one.proposed for one in advice):
        return advice
    # Each was left out with all others in: that says nothing of a mixture without any of them.
    worst = max(advice, key=lambda one: without_gain(one.source, found))
    kept = "; kept all the same, for something must be trained on: leave out one, and test again"
    return [
        one if one is worst else replace(one, proposed=one.weight, reason=weightless(one) + kept)
        for one in advice
    ]


def advice_of(source: str, weight: float, found: Ablations) -> Advice:
    """One source's.

    Leaving it out is better: weight 0. Doubling it is better: doubled. Doubling it is worse, and
    leaving it out is not: halved. What is better on one task and worse on another, or better both ways,
    keeps its weight and is left to the reader; so does whatever nothing is shown of.
    """
    rows = {row.variant.kind: row for row in found.rows if row.variant.source == source}
    without, doubled = rows.get("leave_one_out"), rows.get("double_one")
    less, more = reading(without), reading(doubled)
    said = [
        words
        for row, read in ((without, less), (doubled, more))
        if row and read != "nothing shown" and (words := row_in_words(row, read, found))
    ]
    proposed, verdict = weight, f"keeps its weight of {weight:g}"
    if "mixed" in (less, more) or less == more == "better":
        verdict += ", for that speaks both ways: yours to decide"
    elif less == more == "worse":
        pass
    elif less == "better":
        proposed, verdict = 0.0, "weight 0"
    elif more == "better":
        proposed, verdict = 2 * weight, f"weight {2 * weight:g}"
    elif more == "worse":
        proposed, verdict = weight / 2, f"weight {weight / 2:g}"
    if not said:
        return Advice(
            source=source,
            weight=weight,
            proposed=weight,
            reason=f"no evidence: {verdict}{reach(without or doubled)}",
        )
    return Advice(
        source=source, weight=weight, proposed=proposed, reason=f"{'; '.join(said)}: {verdict}"
    )


def reading(row: AblationRow | None) -> Reading:
    """What a variant's differences say; no task that is worse is outweighed by a better one."""
    if row is None:
        return "nothing shown"
    verdicts = {one.verdict for one in row.differences.values()}
    if {"better", "worse"} <= verdicts:
        return "mixed"
    for verdict in ("better", "worse"):
        if verdict in verdicts:
            return verdict
    return "tied" if verdicts == {"tied"} else "nothing shown"


def row_in_words(row: AblationRow, read: Reading, found: Ablations) -> str:
    """`leaving out chats raises gsm8k by 12.1 (p = 0.003 after Holm)`, of what shows it most."""
    deed = (
        f"leaving out {row.variant.source}"
        if row.variant.kind == "leave_one_out"
        else f"doubling {row.variant.source}"
    )
    if read == "tied":
        return f"{deed} changes no score by as much as its margin"
    columns = {column.name: column for column in found.columns}
    shown_ones = [
        (columns[name], one)
        for name, one in row.differences.items()
        if one.verdict in ("better", "worse")
    ]
    # The mean first, then the tasks that show it most clearly.
    shown_ones.sort(key=lambda pair: (pair[0].name != MEAN, pair[1].p_adjusted))
    clauses = [change_in_words(column, one) for column, one in shown_ones[:NAMED]]
    more = len(shown_ones) - NAMED
    clauses += [f"changes {more} more"] if more > 0 else []
    return f"{deed} {', '.join(clauses)}"


def change_in_words(column: AblationColumn, one: PairedDifference) -> str:
    """`raises gsm8k by 12.1 (p = 0.003 after Holm)`."""
    unit: Unit = "share" if one.is_share else "number"
    verb = "raises" if one.difference > 0 else "lowers"
    p = "p < 0.001" if one.p_adjusted < 0.001 else f"p = {one.p_adjusted:.3f}"
    name = "the mean" if column.name == MEAN else column.name
    lower = "" if column.higher_is_better else ", where lower is better,"
    return f"{verb} {name}{lower} by {shown(abs(one.difference), unit)} ({p} after Holm)"


def reach(row: AblationRow | None) -> str:
    """What so many items and seeds could have shown of a source of which they show nothing."""
    one = next(iter(row.differences.values()), None) if row else None
    if one is None or one.detectable is None:
        return ""
    unit: Unit = "share" if one.is_share else "number"
    points = " points" if one.is_share else ""
    size = f"{shown(one.detectable, unit)}{points}"
    return f" (a difference of {size}, tested alone, would have been seen 4 times in 5)"


def without_gain(source: str, found: Ablations) -> float:
    """By how much leaving a source out is better, in the first column."""
    for row in found.rows:
        if row.variant.source == source and row.variant.kind == "leave_one_out":
            one = next(iter(row.differences.values()))
            return one.difference if one.higher_is_better else -one.difference
    return 0.0


def weightless(advice: Advice) -> str:
    """The reason without what it led to."""
    return advice.reason.removesuffix(": weight 0")
