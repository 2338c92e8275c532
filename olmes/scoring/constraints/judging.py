"""A response against its constraints: a strict and a loose verdict on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from olmes.benchmark.metrics import Metric
from olmes.scoring.constraints.base import Constraint
from olmes.types import VerdictPart


def judge(constraints: Iterable[Constraint], text: str) -> list[VerdictPart]:
    """One part a constraint, in their order. A blank response meets none."""
    return [_judge_one(constraint, text) for constraint in constraints]


def meets(constraints: Iterable[Constraint], text: str) -> list[bool]:
    """Whether each constraint is met strictly, in their order. A blank response meets none."""
    return [_meets(constraint, text) for constraint in constraints]


def noted(part: VerdictPart, other: Mapping[str, bool], name: str) -> VerdictPart:
    """`part` with a note where another check says something else.

    Args:
        part: of a verdict.
        other: what the other check says, by `strict` and `loose`.
        name: of the other check.
    """
    ours = {"strict": part["strict"], "loose": part["loose"]}
    differing = {mode: met for mode, met in other.items() if ours[mode] != met}
    if not differing:
        return part
    said = ", ".join(f"{mode}ly {'met' if met else 'missed'}" for mode, met in differing.items())
    notes = [*filter(None, [part.get("note", "")]), f"{name}: {said}"]
    return {**part, "note": "; ".join(notes)}


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
