"""Groups of completions of one prompt: which of them can teach GRPO anything.

The advantage of a completion is its reward against the mean of its group. Where all rewards of a
group are equal there is none: the prompt is too easy, too hard, or could not be scored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Groups:
    """What the groups of a batch are like; all but the last are sets of indices."""

    useful: frozenset[int]
    """Groups in which rewards differ."""
    all_right: frozenset[int]
    """Groups in which every completion got the best there is."""
    all_wrong: frozenset[int]
    """Groups in which no completion got more than 0."""
    unscored: frozenset[int]
    """Groups of which nothing could be scored."""
    count: int

    @classmethod
    def of(cls, rewards: Sequence[float], best: Sequence[float], size: int) -> Groups:
        """The groups of a batch.

        Args:
            rewards: of each completion, neighbours of one prompt; NaN where it could not be scored.
            best: what each could get at best.
            size: completions of a prompt.
        """
        useful, right, wrong, unscored = (set[int]() for _ in range(4))
        for index, start in enumerate(range(0, len(rewards), size)):
            pairs = zip(rewards[start : start + size], best[start : start + size], strict=True)
            known = [(reward, most) for reward, most in pairs if not math.isnan(reward)]
            values = [reward for reward, _ in known]
            if not known:
                unscored.add(index)
            elif max(values) - min(values) > TOLERANCE:
                useful.add(index)
            elif all(reward >= most - TOLERANCE for reward, most in known):
                right.add(index)
            elif max(values) <= TOLERANCE:
                wrong.add(index)
        return cls(
            frozenset(useful), frozenset(right), frozenset(wrong), frozenset(unscored),
            -(-len(rewards) // size),
        )  # fmt: skip

    def numbers(self) -> dict[str, float]:
        """Shares of the groups, for the log."""
        return {
            "groups/zero_variance": 1 - (len(self.useful) + len(self.unscored)) / self.count,
            "groups/all_right": len(self.all_right) / self.count,
            "groups/all_wrong": len(self.all_wrong) / self.count,
            "groups/unscored": len(self.unscored) / self.count,
        }
