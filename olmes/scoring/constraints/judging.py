"""A response against its constraints: a strict and a loose verdict on each."""

from __future__ import annotations

from collections.abc import Iterable

from olmes.scoring.constraints.base import Constraint
from olmes.types import Part


def judge(constraints: Iterable[Constraint], text: str) -> list[Part]:
    """One part a constraint, in their order. A blank response meets none."""
    return [_judge_one(constraint, text) for constraint in constraints]


def _judge_one(constraint: Constraint, text: str) -> Part:
    strict = _meets(constraint, text)
    loose = strict or any(_meets(constraint, variant) for variant in constraint.variants(text))
    part: Part = {"id": constraint.id, "strict": strict, "loose": loose}
    if constraint.note:
        part["note"] = constraint.note
    return part


def _meets(constraint: Constraint, text: str) -> bool:
    return bool(text.strip()) and constraint.check(text)
