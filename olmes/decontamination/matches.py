"""What a comparison found, and the numbers of the rule."""

from __future__ import annotations

from dataclasses import dataclass

NGRAM = 8
"""Tokens that must be the same, in a row (Tülu 3, section 3.2)."""
MATCHED = 0.5
"""An item overlaps where more than this share of its tokens is matched by one training instance."""
CONTAMINATED = 0.02
"""A data set is contaminated where more than this share of an evaluation's items overlaps."""


@dataclass(frozen=True, slots=True)
class Match:
    """A training instance that an item overlaps with."""

    row: int
    """Of the data set, from 1."""
    task: str
    item: int
    """Place of the item in its `Evaluation.items`."""
    matched: int
    """Tokens of the item that stand in an n-gram which the instance has too."""
    length: int
    """Tokens of the item."""

    @property
    def share(self) -> float:
        """Of the item's tokens, from 0 to 1."""
        return self.matched / self.length
