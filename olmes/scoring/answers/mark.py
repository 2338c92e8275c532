"""What a mark is: a place of a response that announces an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class Origin(Enum):
    """Where a statement was found."""

    BOX = "box"
    TAG = "tag"
    PHRASE = "phrase"
    LABEL = "label"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Found:
    """What a mark states."""

    text: str
    origin: Origin
    end: int
    """Where it ends in the response."""
    cut: bool = False
    """Whether the response breaks off within it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of a response that announces an answer."""

    at: int
    """The place, by which marks are ordered: the later counts."""
    read: Callable[[], Found | None]
    """What it states; None where that is nothing."""
