"""How far a model has moved from a base on both halves of a pair, and how much of it carried over.

The raw gap between two benchmarks has no zero; its change has: (dev - dev of the base) less (unseen -
unseen of the base), each half paired by its items.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from olmes import stats
from olmes.comparison.alignment import mismatch
from olmes.comparison.eligibility import asked, item_set
from olmes.comparison.halves import Half, HalfScore, on_one_scale
from olmes.comparison.items import SharedItems, TaskItems
from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.stats import Difference, PairedDifference, Ratio, ShareError
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfChange(Difference):
    """How far a model is better than the base on one half, whatever the metric's direction."""

    unit: Unit
    paired: bool
    """Whether item by item; else the two numbers' errors are added as if they shared no items."""
    n: int
    """Items that it is over."""
    notes: list[str]
    log_odds: Difference | None
    """The same in log-odds, for shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far a model is from the base on both halves."""

    dev: HalfChange
    unseen: HalfChange
    difference: Difference | None
    """The change on dev less the change on unseen; None where they have no scale in common."""
    log_odds: Difference | None
    """The same in log-odds."""
    carried: Ratio | None
    """The change on unseen as a share of that on dev; None where that one may be 0."""


@dataclass(frozen=True, slots=True)
class PairedTask:
    """One task of two runs, item by item."""

    difference: PairedDifference
    before: ShareError | None
    """The base's share over the same items; None where it is none or has no error."""
    after: ShareError | None
    note: str


def change_of(
    base: tuple[Half, Half], model: tuple[Half, Half], items: SharedItems
) -> Change | str:
    """How far a model is from the base, or why that cannot be said.

    Args:
        base: its development and its unseen half.
        model: the same of the model.
        items: what was read of the samples before.
    """
    dev, unseen = (half_change(*halves, items) for halves in zip(base, model, strict=True))
    if isinstance(dev, str):
        return f"on dev {dev}"
    if isinstance(unseen, str):
        return f"on unseen {unseen}"
    scores = model[0].score, model[1].score
    if not (scores[0] and scores[1] and on_one_scale(scores[0], scores[1])):
        return Change(dev=dev, unseen=unseen, difference=None, log_odds=None, carried=None)
    return Change(
        dev=dev,
        unseen=unseen,
        difference=stats.generalization_gap(dev, unseen),
        log_odds=stats.generalization_gap(dev.log_odds, unseen.log_odds)
        if dev.log_odds and unseen.log_odds
        else None,
        carried=stats.carried_share(dev, unseen),
    )


def half_change(base: Half, model: Half, items: SharedItems) -> HalfChange | str:
    """The change on one half, or why there is none."""
    for name, half in (("the base", base), ("the model", model)):
        if half.score is None:
            return half.why_not or f"{name} has no score"
    names = list(base.records)
    if set(names) != set(model.records):
        lacking = sorted(set(names) ^ set(model.records))
        return f"one of the two has no score for {', '.join(lacking)}"
    for name in names:
        if reasons := mismatch(name, base.records[name], model.records[name]):
            return f"{' and '.join(reasons)} of {name}"
    assert base.score is not None
    assert model.score is not None
    pairs = {name: (base.records[name], model.records[name]) for name in names}
    if all(one.can_be_paired(name) for name, pair in pairs.items() for one in pair):
        tasks = {name: paired_task(name, *pair, items) for name, pair in pairs.items()}
        if found := {name: task for name, task in tasks.items() if task is not None}:
            if len(found) < len(tasks):
                return f"the two share no items of {', '.join(sorted(set(tasks) - set(found)))}"
            return paired_change(found, base.score, model.score)
        return "the two share no items"
    sets = [{item_set(one.run, [name]) for one in pair} for name, pair in pairs.items()]
    if any(len(one) > 1 for one in sets):
        return "other items were asked, and the samples to find the common ones are missing"
    return unpaired_change(base.score, model.score)


def paired_task(name: str, base: Record, model: Record, items: SharedItems) -> PairedTask | None:
    """One task's difference over the items of both; None where they share none."""
    own = items.of(name, [base, model])
    if not own.values:
        return None
    task = base.tasks[name]
    unit = common_unit(record.tasks[name].score.unit for record in (base, model))
    columns = [[row[place] for row in own.values] for place in (0, 1)]
    strata, sizes = own.strata(task), own.sizes()
    difference = stats.compare(
        *columns,
        clusters=own.clusters,
        strata=strata,
        sizes=sizes,
        higher_is_better=task.score.higher_is_better,
        is_share=unit == "share",
        test="t",
    )
    most = max(asked(record.run, record.tasks[name]) for record in (base, model))
    note = "" if len(own.values) == most else f"on the {len(own.values):,} items of {name} of both"
    shares = [share_error(column, own, strata) if unit == "share" else None for column in columns]
    return PairedTask(difference, shares[0], shares[1], note)


def share_error(
    column: list[float], own: TaskItems, strata: list[Hashable] | None
) -> ShareError | None:
    """A run's share over some items; None where it has no error."""
    found = stats.stratified_mean(column, clusters=own.clusters, strata=strata, sizes=own.sizes())
    if found.stderr is None:
        return None
    return ShareError(found.value, found.stderr, len(column))


def paired_change(
    tasks: Mapping[str, PairedTask], base: HalfScore, model: HalfScore
) -> HalfChange | str:
    """The mean of the tasks' differences, the more the better."""
    mean = stats.suite_difference({name: task.difference for name, task in tasks.items()})
    if mean is None:
        return "the units or directions of its tasks differ"
    raw = Difference(mean.value, mean.stderr, mean.ci_low, mean.ci_high)
    notes = [task.note for task in tasks.values() if task.note]
    shares = (
        mean_share(task.before for task in tasks.values()),
        mean_share(task.after for task in tasks.values()),
    )
    return improved(
        raw,
        shares,
        base,
        model,
        paired=True,
        n=sum(task.difference.n for task in tasks.values()),
        notes=notes,
    )


def unpaired_change(base: HalfScore, model: HalfScore) -> HalfChange:
    """The difference of two numbers whose items cannot be brought together."""
    shares = tuple(
        ShareError(one.value, one.stderr, one.n) if one.stderr is not None else None
        for one in (base, model)
    )
    return improved(
        stats.generalization_gap(model, base),
        (shares[0], shares[1]),
        base,
        model,
        paired=False,
        n=min(base.n, model.n),
        notes=["not paired: samples are missing, so the interval is wider"],
    )


def improved(
    raw: Difference,
    shares: tuple[ShareError | None, ShareError | None],
    base: HalfScore,
    model: HalfScore,
    *,
    paired: bool,
    n: int,
    notes: list[str],
) -> HalfChange:
    """A difference, model less base, as a change for the better; without what choosing added."""
    unit = common_unit([base.unit, model.unit])
    before, after = shares
    if (chosen := model.corrected) is not None:
        # As the corrected score's own interval: choosing may have added all of the bias, or nothing.
        bias = model.value - chosen.value
        raw = without_choice(raw, bias)
        after = after and ShareError(after.value - bias, after.stderr, after.n)
        notes = [*notes, f"the best of {chosen.checkpoints} checkpoints, corrected for the choice"]
    log_odds = None
    if unit == "share" and before and after and raw.stderr is not None:
        log_odds = stats.log_odds_change(before, after, raw.stderr)
    if not model.higher_is_better:
        raw = stats.negated(raw)
        log_odds = log_odds and stats.negated(log_odds)
    return HalfChange(
        raw.value,
        raw.stderr,
        raw.ci_low,
        raw.ci_high,
        unit=unit,
        paired=paired,
        n=n,
        notes=notes,
        log_odds=log_odds,
    )


def without_choice(raw: Difference, bias: float) -> Difference:
    """A difference less what choosing the candidate added; the end away from the bias stays."""
    low, high = raw.ci_low, raw.ci_high
    if low is not None and high is not None:
        low, high = low - max(0.0, bias), high - min(0.0, bias)
    return Difference(raw.value - bias, raw.stderr, low, high)


def mean_share(shares: Iterable[ShareError | None]) -> ShareError | None:
    """The mean of some tasks' shares; None where one has none."""
    known = list(shares)
    found = [share for share in known if share is not None]
    if not found or len(found) < len(known):
        return None
    count = len(found)
    return ShareError(
        math.fsum(share.value for share in found) / count,
        math.sqrt(math.fsum(share.stderr**2 for share in found)) / count,
        sum(share.n for share in found),
    )
