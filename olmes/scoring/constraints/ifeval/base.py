"""What the instructions of IFEval add to a constraint: how to meet it with others, or miss it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from olmes.scoring.constraints.base import Constraint

BLANK = "\0"
"""Stands for a made-up word."""


@dataclass
class Draft:
    """What a text must hold, gathered from its constraints."""

    language: str = "en"
    cased: Callable[[str], str] = str
    wrapped: Callable[[str], str] = str
    allowed: list[Callable[[str], object]] = field(default_factory=list)
    """Conditions on every word that is made up."""
    request: str = ""
    title: bool = False
    items: list[str] = field(default_factory=list)
    """Words that must occur."""
    lines: list[str] = field(default_factory=list)
    """Lines that must occur."""
    divider: str = "\n"
    paragraphs: int = 1
    openers: dict[int, str] = field(default_factory=dict)
    """First word of a paragraph, by its number from 0."""
    sentences: int = 0
    words: int = 0
    endings: list[str] = field(default_factory=list)
    second: bool = False
    """A second, different response follows."""


class IFEvalConstraint(Constraint):
    """Base of the instructions of IFEval (Zhou et al. 2023)."""

    @abstractmethod
    def require(self, draft: Draft) -> None:
        """Note in `draft` what a text that meets the constraint must hold."""

    def offence(self) -> str:
        """A text that misses the constraint, where there is one.

        Here one line without a letter or a mark: too little for everything that wants something.
        """
        return "7"


def too_much(unit: str, relation: str, bound: int) -> str:
    """`unit` as often as "less than" forbids, or the least text there is for "at least"."""
    return unit * max(bound, 1) if relation == "less than" else "7"
