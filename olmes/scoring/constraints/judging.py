"""A response against its constraints: a strict and a loose verdict on each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from olmes.benchmark.metrics import Metric
from olmes.scoring.constraints.base import Constraint
from olmes.types import VerdictPart


def judge(constraints: Iterable[Constraint], text: str) -> list[VerdictPart]:
    """One part a constraint, in their order. A blank response meets none."""
    return [_judge_one(constraint, text) for constraint in constraints]


def _judge_one(constraint: Constraint, text: str) -> VerdictPart:
    strict = _meets(constraint, text)
    loose = strict or any(_meets(constraint, variant) for variant in constraint.variants(text))
    part: VerdictPart = {"id": constraint.id, "strict": strict, "loose": loose}
    if constraint.note:
        part["note"] = constraint.note
    return part


def _meets(constraint: Constraint, text: str) -> bool:
    return bool(text.strip()) and constraint.check(text)


LEVELS = (
    Metric(
        name="prompt_level_loose",
        help="every instruction is met by the response, or by it without its first line, last line "
        "or asterisks",
    ),
    Metric(name="prompt_level_strict", help="every instruction is met to the letter"),
    Metric(
        name="inst_level_loose",
        help="share of the instructions that are met loosely",
        over_parts=True,
    ),
    Metric(
        name="inst_level_strict",
        help="share of the instructions that are met to the letter",
        over_parts=True,
    ),
)
"""What IFEval and its successors report (docs/protocol.md, section 3.9)."""


def levels(parts: Sequence[VerdictPart]) -> dict[str, float | list[bool]]:
    """The values of `LEVELS` for one response."""
    strict, loose = [part["strict"] for part in parts], [part["loose"] for part in parts]
    return {
        "prompt_level_loose": float(all(loose)),
        "prompt_level_strict": float(all(strict)),
        "inst_level_loose": loose,
        "inst_level_strict": strict,
    }


def none_met(count: int) -> dict[str, float | list[bool]]:
    """The values of `LEVELS` for a response that meets none of `count` instructions."""
    return levels([{"id": "", "strict": False, "loose": False}] * count)
