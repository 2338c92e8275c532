"""Whether the latest checkpoint is worse than an earlier one: the one rule for "it has fallen"."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from olmes.stats.estimates import Estimate
from olmes.stats.intervals import at_level, of_shares
from olmes.stats.pairing import PairedDifference, compare
from olmes.stats.selection import paired_scores
from olmes.stats.strata import whole_of
from olmes.stats.suites import generalization_gap, paired_mean
from olmes.stats.unpaired import unpaired_p
from olmes.stats.verdicts import ALPHA, Verdict, tie_margin, verdict_of
from olmes.types import JsonObject


@dataclass(frozen=True, slots=True)
class Fall:
    """The latest checkpoint held against an earlier one."""

    since: str
    """The earlier checkpoint."""
    before: float
    after: float
    difference: float
    """After less before."""
    ci_low: float | None
    """95 %, of this comparison alone; None where an error is not known."""
    ci_high: float | None
    simultaneous: tuple[float, float] | tuple[None, None]
    """The interval that goes with `p_adjusted`: with 5 % over `comparisons` of error on each side."""
    p_value: float
    """One-sided: how often chance alone would show so large a fall between these two."""
    p_adjusted: float
    """Corrected for all comparisons that could have rung (`comparisons`)."""
    n: int
    paired: bool
    """Whether on the same items, item by item; else from two scores and their errors."""
    margin: float
    is_share: bool
    higher_is_better: bool

    @property
    def shown(self) -> bool:
        """Whether it is worse beyond chance, and by more than what does not matter (`verdict_of`)."""
        return self.verdict == "worse"

    @property
    def verdict(self) -> Verdict:
        """By the interval and the p-value that are corrected for all comparisons."""
        fell = self.difference != 0 and (self.difference < 0) == self.higher_is_better
        # The p-value asks for a fall alone: of a rise the interval speaks, which has the same level.
        return verdict_of(
            *self.simultaneous,
            self.p_adjusted if fell else 0.0,
            self.margin,
            higher_is_better=self.higher_is_better,
        )

    @property
    def sentence(self) -> str:
        """The change with its numbers, in percentage points for shares."""
        scale, unit = (100, " points") if self.is_share else (1, "")
        interval, (low, high) = "no interval", self.simultaneous
        if low is not None and high is not None:
            interval = f"corrected 95 % interval {scale * low:+.2f} to {scale * high:+.2f}"
        p = "p < 0.001" if self.p_adjusted < 0.001 else f"p = {self.p_adjusted:.3f}"
        how = "" if self.paired else ", not paired"
        return f"{scale * self.difference:+.2f}{unit} ({interval}, {p}, n = {self.n}{how})."


@dataclass(frozen=True, slots=True)
class Alarm:
    """The latest checkpoint against the best earlier one and the one before it."""

    latest: str
    against_best: Fall
    against_previous: Fall

    @property
    def raised(self) -> bool:
        """Whether the latest is worse than either, after correction."""
        return self.against_best.shown or self.against_previous.shown

    @property
    def fall(self) -> Fall:
        """The comparison to report: with the best, unless the one before it rang alone."""
        alone = self.against_previous.shown and not self.against_best.shown
        return self.against_previous if alone else self.against_best

    @property
    def sentence(self) -> str:
        """What to say to the user."""
        fall = self.fall
        which = "the best earlier checkpoint" if fall is self.against_best else "the one before it"
        if fall.shown:
            return f"{self.latest} has fallen below {which} ({fall.since}): {fall.sentence}"
        return f"{self.latest} against {which} ({fall.since}): no fall is shown, {fall.sentence}"

    def to_json(self) -> JsonObject:
        """A JSON object with both comparisons, whether the alarm is raised, and the sentence."""
        return asdict(self) | {"raised": self.raised, "sentence": self.sentence}


def comparisons(checkpoints: int, *, series: int = 1, planned: int | None = None) -> float:
    """By how much a one-sided p-value is multiplied, so that no fall is found where there is none.

    The question is asked anew at each checkpoint, of the best of the earlier ones, and of several
    series (Bonferroni over these). Where it is known how many checkpoints K a training will have,
    the comparisons are its K(K - 1)/2 pairs, and the chance of a false alarm in the whole training
    is under 5 % however they depend on each other. Where it is not known, k checkpoints so far count
    as k²(1 + ln k): the k-th look spends a part 1/(k(1 + ln k)) of the 5 % (Lan & DeMets 1983), over
    its k - 1 comparisons. These parts do not add up to 1 alone, but the comparisons depend on each
    other enough: the chance is 2.6 % in 10 checkpoints, 4.3 % in 100 and 4.9 % in 300 whose scores
    vary independently, and less where neighbours are alike (docs/statistics.md).

    Args:
        checkpoints: so far, k.
        series: how many series are watched or shown together.
        planned: how many checkpoints the training will have; None where that is not known.
    """
    if planned is not None:
        whole = max(planned, checkpoints)
        return series * whole * (whole - 1) / 2
    return series * checkpoints**2 * (1 + math.log(checkpoints))


def regression_alarm(
    values: Sequence[Sequence[float]],
    names: Sequence[str],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
    margin: float | None = None,
    higher_is_better: bool = True,
    is_share: bool | None = None,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """Compare the last checkpoint with the earlier ones, paired by item. None with fewer than two.

    Args:
        values: items by checkpoints in order of training, (n, k).
        names: of the checkpoints, (k,).
        clusters: label of what an item shares with others, (n,).
        strata: label of the sub-task, (n,).
        sizes: parts of an item, (n,).
        margin: a smaller fall does not count; `tie_margin` where none is given.
        higher_is_better: which way is better.
        is_share: as for `compare`.
        series: as for `comparisons`.
        planned: as for `comparisons`.

    Raises:
        ValueError: there are no items, or a row has another length than `names`.
    """
    if len(names) < 2:
        return None
    scores = paired_scores(values, clusters=clusters, strata=strata, sizes=sizes)
    if len(scores.means) != len(names):
        raise ValueError(f"{len(names)} names for {len(scores.means)} checkpoints")
    times = comparisons(len(names), series=series, planned=planned)

    def compared(place: int, own: Sequence[int]) -> PairedDifference:
        def chosen(labels: Sequence[Any] | None) -> list[Any] | None:
            return None if labels is None else [labels[at] for at in own]

        return compare(
            [values[at][place] for at in own],
            [values[at][-1] for at in own],
            clusters=chosen(clusters),
            strata=chosen(strata),
            sizes=chosen(sizes),
            margin=margin,
            higher_is_better=higher_is_better,
            is_share=is_share,
            test="t",
        )

    wholes = places_of_wholes(len(values), strata)
    if is_share is None and len(wholes) > 1:  # of one task `compare` asks its pair alone
        is_share = all(0 <= value <= 1 for row in values for value in row)

    def against(place: int) -> Fall:
        found = paired_mean({whole: compared(place, own) for whole, own in wholes.items()})
        assert found is not None  # all of them have one direction and unit
        return paired_fall(names[place], found, times)

    return alarm_of([float(mean) for mean in scores.means], names, against, higher_is_better)


def places_of_wholes(n: int, strata: Sequence[Hashable] | None) -> dict[Hashable, list[int]]:
    """The items of each average that is averaged itself (`Part`): a mean is compared as suites are."""
    found: dict[Hashable, list[int]] = {}
    for at in range(n):
        found.setdefault(None if strata is None else whole_of(strata[at]), []).append(at)
    return found


def paired_fall(since: str, found: PairedDifference, times: float) -> Fall:
    """A paired comparison as a fall; the two-sided tests are symmetric, so half of p is one side."""
    worse = (found.difference < 0) == found.higher_is_better and found.difference != 0
    p_value = found.p_value / 2 if worse else 1 - found.p_value / 2
    return Fall(
        since=since,
        before=found.baseline,
        after=found.candidate,
        difference=found.difference,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        simultaneous=at_level(found, ALPHA / times),
        p_value=p_value,
        p_adjusted=min(1.0, times * p_value),
        n=found.n,
        paired=True,
        margin=found.margin,
        is_share=found.is_share,
        higher_is_better=found.higher_is_better,
    )


def unpaired_alarm(
    scores: Sequence[Estimate],
    names: Sequence[str],
    *,
    is_share: bool,
    margin: float | None = None,
    higher_is_better: bool = True,
    series: int = 1,
    planned: int | None = None,
) -> Alarm | None:
    """As `regression_alarm`, from scores and their errors alone. None with fewer than two.

    For checkpoints whose items cannot be read. What the checkpoints have in common makes such a
    comparison wider than it needs to be, never too sure.

    Args:
        scores: of the checkpoints in order of training, (k,).
        names: of the checkpoints, (k,).
        is_share: whether the scores are shares.
        margin: a smaller fall does not count; `tie_margin` where none is given.
        higher_is_better: which way is better.
        series: as for `comparisons`.
        planned: as for `comparisons`.

    Raises:
        ValueError: there are more or fewer scores than names.
    """
    if len(scores) != len(names):
        raise ValueError(f"{len(names)} names for {len(scores)} checkpoints")
    if len(names) < 2:
        return None
    times = comparisons(len(names), series=series, planned=planned)
    last = scores[-1]

    def against(place: int) -> Fall:
        first = scores[place]
        gap = generalization_gap(last, first)
        ends = (gap.ci_low, gap.ci_high), at_level(gap, ALPHA / times)
        own, simultaneous = (of_shares(*pair) if is_share else pair for pair in ends)
        p_value = unpaired_p(first, last, is_share=is_share, higher_is_better=higher_is_better)
        return Fall(
            since=names[place],
            before=first.value,
            after=last.value,
            difference=gap.value,
            ci_low=own[0],
            ci_high=own[1],
            simultaneous=simultaneous,
            p_value=p_value,
            p_adjusted=min(1.0, times * p_value),
            n=min(first.n, last.n),
            paired=False,
            margin=tie_margin(margin, is_share=is_share),
            is_share=is_share,
            higher_is_better=higher_is_better,
        )

    return alarm_of([score.value for score in scores], names, against, higher_is_better)


def alarm_of(
    means: Sequence[float],
    names: Sequence[str],
    against: Callable[[int], Fall],
    higher_is_better: bool,
) -> Alarm:
    """The alarm of the last of some checkpoints.

    Args:
        means: their scores, (k,).
        names: (k,).
        against: holds the last one against the one at a place.
        higher_is_better: which way is better.
    """
    sign = 1 if higher_is_better else -1
    best = max(range(len(means) - 1), key=lambda place: sign * means[place])
    previous = len(means) - 2
    fall = against(best)
    return Alarm(names[-1], fall, fall if best == previous else against(previous))
