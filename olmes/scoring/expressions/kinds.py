"""Kinds of answers to mathematical problems, as `shapes` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from olmes.scoring.expressions.expression import Expression
from olmes.scoring.expressions.units import Quantity


@dataclass(frozen=True, slots=True)
class Value:
    """An expression, with what stands around it."""

    expression: Expression
    quantity: Quantity
    key: str
    """As `Words` has it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Things in brackets or between commas: `("(", ")")` is a pair or an open interval."""

    members: tuple[Shape, ...]
    brackets: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined."""

    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix."""

    rows: tuple[tuple[Shape, ...], ...]


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation: both sides."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a base."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day with its half."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Words:
    """Anything else: a name, a day, a sign for the empty set."""

    key: str


Shape: TypeAlias = Value | Group | Union | Grid | Equation | Based | Clock | Words
