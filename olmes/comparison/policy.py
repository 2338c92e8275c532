"""What a gate lets through: how much worse a candidate may be on which task, from a TOML file."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.tools.near_names import nearest
from olmes.tools.toml_tables import build, read_toml
from olmes.types import Unit

MEAN = "mean"
"""Names the mean of the tasks in `ignore`."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """How much worse a number may be."""

    HINT: ClassVar[str] = "write { margin = ... } or { relative = ... }"

    margin: float | None = None
    """In percentage points for a share, in the metric's own unit for a number."""
    relative: float | None = None
    """The same as a share of the baseline's score: 0.05 is a twentieth of it."""

    def __post_init__(self) -> None:
        if self.margin is not None and self.relative is not None:
            raise OlmesError("give margin or relative, not both.")
        for name, value in (("margin", self.margin), ("relative", self.relative)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise OlmesError(f"{name} is 0 or more, not {value:g}.")

    def allowed(self, unit: Unit, baseline: float) -> float | None:
        """By how much the score may be worse, as the record has scores; None where it is not said."""
        if self.relative is not None:
            return self.relative * abs(baseline)
        if self.margin is None:
            return None
        return self.margin / 100 if unit == "share" else self.margin


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a gate lets through."""

    margin: float = 1.0
    """Percentage points that a share may be worse, where [tasks] and [mean] say nothing else."""
    alpha: float = 0.025
    """How often a candidate that is worse by just the margin may pass; one-sided, so that 0.025 goes
    by the 95 % interval."""
    required: tuple[str, ...] | None = None
    """Tasks without which there is no pass; by default all of the baseline's."""
    ignore: tuple[str, ...] = ()
    """Tasks that are not judged; "mean" is the mean of the tasks."""
    tasks: Mapping[str, Allowance] = field(default_factory=dict)
    mean: Allowance = Allowance()
    """Of the mean of the tasks that were compared."""

    def __post_init__(self) -> None:
        Allowance(margin=self.margin)
        if not 0 < self.alpha < 0.5:
            raise OlmesError(f"alpha lies between 0 and 0.5, not {self.alpha:g}.")
        if both := sorted(set(self.required or ()) & set(self.ignore)):
            raise OlmesError(f"{', '.join(both)} is required and ignored; name it once.")

    @classmethod
    def read(cls, path: Path) -> Policy:
        """The policy in a TOML file.

        Raises:
            OlmesError: the file is missing, or a key is unknown or has a value it cannot have.
        """
        return build(cls(), read_toml(path), str(path))

    def allowance(self, task: str) -> Allowance:
        """What is said of a task alone."""
        return self.tasks.get(task, Allowance())

    def allowed(self, own: Allowance, unit: Unit, baseline: float) -> float | None:
        """By how much a score may be worse; None for a number that nothing is said of."""
        found = own.allowed(unit, baseline)
        if found is not None or unit == "number":
            return found
        return self.margin / 100

    def check_names(self, tasks: Collection[str]) -> None:
        """Refuse a table or an `ignore` for a task that neither run has: it would have no effect.

        Raises:
            OlmesError: there is one.
        """
        for name in (*self.tasks, *self.ignore):
            if name in tasks or name == MEAN:
                continue
            near = nearest(name, tasks)
            advice = f"did you mean '{near}'?" if near else f"they have {', '.join(tasks)}."
            raise OlmesError(f"the policy names '{name}', a task of neither run; {advice}")

    @property
    def hash(self) -> str:
        """16 hex digits over all of it."""
        return content_hash(asdict(self))[:16]
