"""The macro average: the mean of sub-tasks. Plain Python: it is on the path of every run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from olmes.stats.estimates import Z95, Estimate, t95, with_interval
from olmes.stats.share_means import ShareOf, lower_end, upper_end, worth_of
from olmes.stats.strata import satterthwaite

TOO_FEW = 2
"""Items of a sub-task that can say nothing of its spread."""


def macro(
    groups: Mapping[str, Estimate],
    pooled: Estimate,
    *,
    is_share: bool,
    weights: Sequence[float] | None = None,
) -> Estimate:
    """The unweighted mean of group means; its error is sqrt(Σ SE²)/G.

    With `weights`, one a group, it is Σ weight x mean / Σ weight: of groups that are averaged among
    themselves before they are with others (`stratum_weights`).

    The groups are strata: the same ones in every run, so that their choice adds no error and they
    are no clusters. A group of one item has no error of its own: the standard deviation of all items
    together (`pooled`, the estimate over them) stands in for it, which errs on the wide side.

    The interval of shares is that of a weighted mean of shares (`share_means`), each worth its items;
    clustered ones worth them over the groups' common design effect, Σ SE²/Σ p(1 - p)/n, with Student's
    t for the clusters that it is estimated from. Anything else gets value ± t SE. In both the degrees
    of freedom are Satterthwaite's. The average of one group is the group.
    """
    members, count = list(groups.values()), len(groups)
    if count == 1:
        return replace(members[0], n=pooled.n)
    alike = [1.0] * count if weights is None or len(set(weights)) == 1 else list(weights)
    total = math.fsum(alike)
    value = math.fsum(w * group.value for w, group in zip(alike, members, strict=True)) / total
    variances = variances_of(members, pooled)
    if variances is not None:
        variances = [w**2 * variance for w, variance in zip(alike, variances, strict=True)]
    stderr = None if variances is None else math.sqrt(math.fsum(variances)) / total
    if is_share:
        shares = shares_of(members, alike)
        return Estimate(value, stderr, lower_end(shares), upper_end(shares), pooled.n)
    df = None if variances is None else satterthwaite(variances, freedoms_of(members, pooled))
    return with_interval(value, stderr, pooled.n, is_share=False, df=df)


def clusters_of(group: Estimate) -> int:
    """How many clusters a group has; as many as items where that is not said."""
    return group.n if group.clusters is None else group.clusters


def variances_of(groups: Sequence[Estimate], pooled: Estimate) -> list[float] | None:
    """The squared error of each group's mean; None where one has none and `pooled` neither."""
    found = []
    for group in groups:
        if group.stderr is not None and group.n > 1:
            found.append(group.stderr**2)
        elif pooled.stderr is not None:
            found.append(pooled.stderr**2 * pooled.n / group.n)
        else:
            return None
    return found


def freedoms_of(groups: Sequence[Estimate], pooled: Estimate) -> list[int]:
    """The degrees of freedom of each of these."""
    return [max(1, clusters_of(pooled if one.stderr is None else one) - 1) for one in groups]


def shares_of(groups: Sequence[Estimate], weights: Sequence[float]) -> list[ShareOf]:
    """What each group's share is worth in their average, in which they have weights."""
    design, factor = design_of([group for group in groups if not counts(group)])
    found, few = [], []
    for weight, group in zip(weights, groups, strict=True):
        if design and not counts(group):
            found.append(ShareOf(group.value, weight, factor * group.n / design, is_count=False))
        elif group.n <= TOO_FEW:
            few.append((weight, group))
        else:
            found.append(ShareOf(group.value, weight, factor * own_worth(group)))
    if few:
        # Together they show a spread, if a larger one than within each.
        whole = math.fsum(weight for weight, _ in few)
        worth = whole**2 / math.fsum(weight**2 / own_worth(group) for weight, group in few)
        mean = math.fsum(weight * group.value for weight, group in few) / whole
        found.append(ShareOf(mean, whole, factor * worth))
    total = math.fsum(weights)
    return [replace(share, weight=share.weight / total) for share in found]


def counts(group: Estimate) -> bool:
    """Whether a group's share is the count of 0/1 items that stand alone."""
    return clusters_of(group) >= group.n and math.isclose(own_worth(group), group.n, rel_tol=1e-6)


def own_worth(group: Estimate) -> float:
    """The number of 0/1 items that a group's own interval speaks of."""
    for end in (group.ci_high, group.ci_low):
        if end is not None and (worth := worth_of(group.value, end)) is not None:
            return worth
    return float(group.n)


def design_of(clustered: Sequence[Estimate]) -> tuple[float, float]:
    """The design effect that groups have in common, and (1.96/t)² for its being estimated.

    0 and 1 where it cannot be seen: no group has two clusters that differ.
    """
    known = [(one, one.stderr) for one in clustered if one.stderr is not None]
    squares = math.fsum(stderr**2 for _, stderr in known)
    independent = math.fsum(one.value * (1 - one.value) / one.n for one, _ in known)
    if not squares or not independent:
        return 0.0, 1.0
    design = squares / independent
    # By shares drawn away from 0 and 1 (Agresti & Coull 1998): one that has no spread may have some.
    drawn = [((one.value * one.n + 2) / (one.n + 4), one) for one, _ in known]
    variances = [p * (1 - p) / one.n for p, one in drawn]
    df = satterthwaite(variances, [max(1, clusters_of(one) - 1) for one, _ in known])
    return design, (Z95 / t95(df)) ** 2
