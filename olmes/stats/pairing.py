"""Two runs on the same items: the difference, its interval, an exact test and a verdict in words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar

from olmes.stats.estimates import Z95
from olmes.stats.exact import PValue, mcnemar_exact, sign_flip_test
from olmes.stats.moments import Evidence, Moments, moments_of
from olmes.stats.multiplicity import holm
from olmes.stats.power import (
    exact_detectable_effect,
    items_needed,
    minimum_detectable_effect,
)
from olmes.stats.strata import stratified_mean
from olmes.stats.verdicts import Verdict, tie_margin, verdict_of, verdict_sentence
from olmes.types import JsonObject

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How a candidate differs from a baseline on the items both were run on."""

    n: int
    clusters: int
    baseline: float
    candidate: float
    difference: float
    """Candidate less baseline; of macro averages where strata were given."""
    stderr: float | None
    """Paired, clustered; None where there is one cluster."""
    df: float | None
    """Degrees of freedom of the interval's Student's t."""
    ci_low: float | None
    ci_high: float | None
    p_value: float
    p_adjusted: float
    """By Holm over the tasks compared together (`with_holm`); `p_value` until then."""
    test: str
    wins: int
    """Items on which the candidate is better; `losses`: the baseline. The rest are ties."""
    losses: int
    effective_items: float | None
    """How many independent items those of 0/1 scores are worth; None for other values."""
    margin: float
    """Differences below it do not matter, in the metric's unit."""
    is_share: bool
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """Better, worse, tied or not enough data (`verdict_of`)."""
        return verdict_of(
            self.ci_low,
            self.ci_high,
            self.p_adjusted,
            self.margin,
            higher_is_better=self.higher_is_better,
        )

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, in percentage points for shares."""
        return verdict_sentence(
            self.verdict,
            self.difference,
            self.ci_low,
            self.ci_high,
            self.p_adjusted,
            is_share=self.is_share,
            of=f"n = {self.n}",
        )

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that so many items show 4 times in 5; None for one cluster.

        By the width of the interval, so that clusters and few items count; of 0/1 scores no less than
        what McNemar's exact test can show of so few discordant pairs.
        """
        if (variance := self.item_variance) is None:
            return None
        least = minimum_detectable_effect(self.n, variance)
        if self.effective_items is None:
            return least
        discordant = (self.wins + self.losses) / self.n
        return max(least, exact_detectable_effect(round(self.effective_items), discordant))

    @property
    def needed(self) -> int | None:
        """How many items would show a difference as large as this one 4 times in 5; None for none."""
        variance = self.item_variance
        if variance is None or not self.difference:
            return None
        return items_needed(abs(self.difference), variance)

    @property
    def item_variance(self) -> float | None:
        """The variance of an item's difference that the interval speaks of."""
        if self.ci_low is None or self.ci_high is None:
            return None
        return self.n * ((self.ci_high - self.ci_low) / 2 / Z95) ** 2

    def to_json(self) -> JsonObject:
        """A JSON object with every field, the verdict, the sentence and the power."""
        return asdict(self) | {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "detectable": self.detectable,
            "needed": self.needed,
        }


def compare(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    sizes: Sequence[float] | None = None,
    margin: float | None = None,
    higher_is_better: bool = True,
    is_share: bool | None = None,
    test: Literal["exact", "t"] = "exact",
    n_resamples: int = 9_999,
    seed: int = 0,
) -> PairedDifference:
    """Compare two runs by the difference on each item.

    The paired error, sqrt(Var(d)/n), is smaller than that of two separate runs by as much as the
    runs agree on which items are hard (Miller 2024, section 4.2). The test is McNemar's where each
    item stands alone, weighs the same and scores 0 or 1, else sign flips of whole clusters with the
    weights of the (macro) average.

    Args:
        baseline: value of each item, (n,).
        candidate: the same items in the same order, (n,).
        clusters: label of what an item shares with others, (n,); give repeats their item's label.
        strata: label of the sub-task, (n,): the difference is then that of the macro averages.
        sizes: parts of an item, (n,), whose mean its value is.
        margin: half-width within which two runs count as tied, in the metric's unit; `tie_margin`
            where none is given.
        higher_is_better: which way is better.
        is_share: whether the values are shares; by default, whether all of them could be.
        test: `t` replaces the sign flips (not McNemar's) by Student's t, for p-values that many
            corrections will multiply: signings drawn at random resolve no finer than 1/n_resamples.
        n_resamples: signings drawn where there are too many to count.
        seed: of those draws.

    Raises:
        ValueError: there are no items, or a sequence has another length.
    """
    pairs = list(zip(baseline, candidate, strict=True))
    differences = [float(after) - float(before) for before, after in pairs]
    mean = stratified_mean(differences, clusters=clusters, strata=strata, sizes=sizes)
    first = stratified_mean(baseline, clusters=clusters, strata=strata, sizes=sizes).value
    second = stratified_mean(candidate, clusters=clusters, strata=strata, sizes=sizes).value
    binary = all(value in (0, 1) for pair in pairs for value in pair)
    single = mean.clusters == len(pairs)
    alone = mean if single else stratified_mean(differences, strata=strata, sizes=sizes)
    scale = max(abs(value) for pair in pairs for value in pair)
    evidence = Evidence(alone.effective_clusters, mean.effective_clusters, mean.spare_clusters)
    moments = moments_of(mean.value, mean.error, alone.error, evidence, binary=binary, scale=scale)
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    alike = single and max(mean.weights) - min(mean.weights) < EQUAL_WEIGHTS
    if test == "exact" and not (binary and alike):
        found = sign_flip_test(mean.shares, n_resamples=n_resamples, seed=seed)
    else:
        found = quick_test(moments, wins, losses, alike=alike)
    if is_share is None:
        is_share = all(0 <= value <= 1 for pair in pairs for value in pair)
    return difference_of(
        moments,
        found,
        n=len(pairs),
        clusters=mean.clusters,
        values=(first, second),
        flips=(wins, losses),
        margin=margin,
        is_share=is_share,
        higher_is_better=higher_is_better,
    )


EQUAL_WEIGHTS = 1e-12
"""What the weights of items that weigh the same may differ by."""


def quick_test(moments: Moments, wins: int, losses: int, *, alike: bool) -> PValue:
    """McNemar's test for 0/1 items that stand alone and weigh the same, else Student's t."""
    return mcnemar_exact(wins, losses) if moments.binary and alike else moments.t_test()


def difference_of(
    moments: Moments,
    found: PValue,
    *,
    n: int,
    clusters: int,
    values: tuple[float, float],
    flips: tuple[int, int],
    margin: float | None,
    is_share: bool,
    higher_is_better: bool,
) -> PairedDifference:
    """A comparison from what was counted.

    Args:
        moments: of the difference.
        found: its p-value.
        n: items.
        clusters: of them.
        values: of the baseline and of the candidate.
        flips: items on which the candidate's value is larger, and smaller.
        margin: as for `compare`.
        is_share: as for `compare`; the interval of shares ends at ± 1.
        higher_is_better: as for `compare`.
    """
    low, high = moments.interval()
    if is_share and low is not None and high is not None:
        low, high = max(-1.0, low), min(1.0, high)
    wins, losses = flips if higher_is_better else flips[::-1]
    return PairedDifference(
        n=n,
        clusters=clusters,
        baseline=values[0],
        candidate=values[1],
        difference=moments.value,
        stderr=moments.stderr,
        df=moments.df,
        ci_low=low,
        ci_high=high,
        p_value=found.p_value,
        p_adjusted=found.p_value,
        test=found.test,
        wins=wins,
        losses=losses,
        effective_items=moments.effective if moments.binary else None,
        margin=tie_margin(margin, is_share=is_share),
        is_share=is_share,
        higher_is_better=higher_is_better,
    )


def with_holm(differences: Mapping[Key, PairedDifference]) -> dict[Key, PairedDifference]:
    """The same comparisons with p-values, and so verdicts, corrected for how many they are."""
    adjusted = holm([difference.p_value for difference in differences.values()])
    return {
        key: replace(difference, p_adjusted=p)
        for (key, difference), p in zip(differences.items(), adjusted, strict=True)
    }
