"""Whether a difference from a published number is larger than chance.

A published number has no error of its own. Where nothing is drawn at random it is taken as fixed: it is
of the same items as ours, and what is hard for one model is hard for the other, so that for scores that
go together by 1/2 or more the difference errs by no more than ours does. Where responses or judgements
are sampled, both numbers have noise, and the published one gets the interval of a share over its items.
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes import stats
from olmes.reproduction.paper import ROUNDING, Column
from olmes.stats import Difference, Estimate
from olmes.stats.suites import root_sum_square

CHANCE = (
    "A difference is marked where its 95 % interval, widened by the rounding of the published number, "
    "leaves out 0 and our formulation is the reported one. Published numbers have no errors: of "
    "deterministic tasks they are taken as fixed, on the items of ours; of tasks that sample responses "
    "or judgements they get the interval of a share over the published number of items. Each row is "
    "judged alone: of twenty that differ by chance, one is marked."
)


def difference_of(ours: Estimate, published: float, column: Column) -> Difference:
    """Ours less the published number, with an interval for what chance explains.

    Of a column that samples: the two-sample interval (Newcombe 1998, method 10), the published number
    with Wilson's interval over its items; of any other our own interval, moved.
    """
    if column.sampled and column.items:
        low, high = stats.wilson(published, column.items)
        stderr = (published * (1 - published) / column.items) ** 0.5
        theirs = Estimate(published, stderr, low, high, column.items)
        return stats.generalization_gap(ours, theirs)
    known = ours.ci_low is not None and ours.ci_high is not None
    return Difference(
        ours.value - published,
        ours.stderr,
        (ours.ci_low or 0.0) - published if known else None,
        (ours.ci_high or 0.0) - published if known else None,
    )


def leaves_out_0(difference: Difference | None, rounding: float = ROUNDING) -> bool:
    """Whether a difference is larger than chance and the rounding of the published number."""
    if difference is None or difference.ci_low is None or difference.ci_high is None:
        return False
    return difference.ci_low > rounding or difference.ci_high < -rounding


def mean_difference(differences: Sequence[Difference]) -> Difference:
    """The mean of some columns' differences, which are independent of each other."""
    count = len(differences)
    value = sum(one.value for one in differences) / count
    errors = [one.stderr for one in differences if one.stderr is not None]
    stderr = root_sum_square(errors) / count if len(errors) == count else None
    ends = [
        (one.value - one.ci_low, one.ci_high - one.value)
        for one in differences
        if one.ci_low is not None and one.ci_high is not None
    ]
    if len(ends) < count:
        return Difference(value, stderr, None, None)
    below, above = (root_sum_square(side) / count for side in zip(*ends, strict=True))
    return Difference(value, stderr, value - below, value + above)
