"""What became of instructions, step by step: how many came, how many were kept, why others were not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from olmes.types import JsonObject


@dataclass
class Step:
    """A step of a kind."""

    came: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why others were not kept."""


@dataclass
class Steps:
    """The steps of every kind, in the order in which they were taken."""

    steps: dict[tuple[str, str], Step] = field(default_factory=dict)

    def kept(self, kind: str, step: str, count: int = 1) -> None:
        """So many were kept."""
        one = self.steps.setdefault((kind, step), Step())
        one.came += count
        one.kept += count

    def lost(self, kind: str, step: str, reason: str, count: int = 1) -> None:
        """So many were not."""
        one = self.steps.setdefault((kind, step), Step())
        one.came += count
        one.reasons[reason] += count

    def to_json(self) -> list[JsonObject]:
        """One object a step."""
        return [
            {
                "kind": kind,
                "step": step,
                "came": one.came,
                "kept": one.kept,
                "reasons": dict(sorted(one.reasons.items())),
            }
            for (kind, step), one in self.steps.items()
        ]
