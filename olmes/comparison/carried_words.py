"""What a share of a change says, in words that match it and claim no cause."""

from __future__ import annotations

from typing import Literal

from olmes.comparison.changes import Change
from olmes.records.shown import unsigned_zero
from olmes.stats import CarryOver

HALF = 0.5
"""The fraction that a share of a gain is held against, beside none and all."""
Kind = Literal["training", "models", "several trainings"]


def in_words(line: CarryOver, kind: Kind, *, gained: bool) -> str:
    """What the slope says, in a sentence that claims no cause.

    Args:
        line: the slope.
        kind: whether the models are one training's checkpoints.
        gained: whether dev rose over the training.
    """
    if line.slope is None:
        return f"how much of dev shows on unseen cannot be said: {line.reason}"
    share = with_ends(line.slope, line.ci_low, line.ci_high)
    count = f"{line.checkpoints} {'checkpoints' if kind == 'training' else 'models'}"
    said = share_in_words(line.ci_low, line.ci_high) or line.reason
    if kind == "training":
        what = "gain" if gained else "change"
        return f"of each point of {what} on dev, {share} showed on unseen, over {count}: {said}"
    return (
        f"across {count} a point more on dev goes with {share} points more on unseen: "
        f"{said.replace('of it', 'of a point')}"
    )


def share_in_words(low: float | None, high: float | None) -> str:
    """What an interval of a share says, held against none, half and all; '' without an interval."""
    if low is None or high is None:
        return ""
    if high < 0:
        return "one side rose while the other fell"
    if low > 1:
        return "more than all of it"
    if low <= 0:
        if high >= 1:
            return "none of it and all of it are both possible"
        upper = "less than half of it" if high < HALF else "not all of it"
        return f"{upper}, and perhaps none"
    if high < HALF:
        return "some of it, but less than half of it"
    if high < 1:
        return "more than half of it, but not all" if low > HALF else "some of it, but not all"
    return "more than half of it, and perhaps all" if low > HALF else "some of it, and perhaps all"


def change_in_words(change: Change, *, trained: bool) -> str:
    """What of a model's change on dev shows on unseen, in a sentence.

    Args:
        change: against the base.
        trained: whether the model is known to have come from the base.
    """
    if change.difference is None:
        return "dev and unseen are on different scales, so there is no share of one in the other"
    if (share := change.carried) is None:
        return "the change on dev may be none, so there is no share of it on unseen"
    moved = "gain" if change.dev.value > 0 else "loss"
    shows = "carried over" if trained else "shows on unseen"
    said = share_in_words(share.ci_low, share.ci_high)
    ends = with_ends(share.value, share.ci_low, share.ci_high)
    return f"{ends} of the {moved} on dev {shows}: {said}"


def with_ends(value: float, low: float | None, high: float | None) -> str:
    """A ratio and its interval: `0.03 [−0.05, 0.11]`."""
    first, *ends = (
        None if one is None else unsigned_zero(f"{one:.2f}".replace("-", "−"))
        for one in (value, low, high)
    )
    return f"{first}" if None in ends else f"{first} [{ends[0]}, {ends[1]}]"
