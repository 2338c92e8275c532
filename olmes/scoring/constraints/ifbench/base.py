"""What the constraints of IFEval-OOD and IFBench add to a constraint: a second opinion, an example.

`check` does what the constraint says. `reference` repeats the check that was published with the
benchmark, by which the published numbers were made; where it is vacuous or broken the two differ,
and the docstring of `reference` says how.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

from olmes.errors import OlmesError
from olmes.scoring.constraints.base import Constraint


class OodConstraint(Constraint):
    """Base of the constraints of IFEval-OOD (Lambert et al. 2024) and IFBench (Pyatkin et al. 2025)."""

    def reference(self, text: str) -> bool:
        """What the published check says of `text`, which is never blank."""
        return self.check(text)

    @abstractmethod
    def example(self) -> str:
        """A text that meets the constraint by `check` and by `reference`."""


def by_reference(kind: type[OodConstraint]) -> type[OodConstraint]:
    """The same constraint, judged by the published check."""
    if kind.reference is OodConstraint.reference:
        return kind
    members = {
        "check": kind.reference,
        "__doc__": kind.reference.__doc__,
        "__module__": kind.__module__,
    }
    return cast("type[OodConstraint]", type(f"{kind.__name__}ByReference", (kind,), members))


def require_at_least(least: int, **arguments: int) -> None:
    """Refuse an argument below `least`.

    Raises:
        OlmesError: the argument is too small.
    """
    for name, value in arguments.items():
        if value < least:
            raise OlmesError(
                f"the argument '{name}' must be {least} or more, not {value}; "
                "correct the item's kwargs."
            )


def require_percentage(percentage: int) -> None:
    """Refuse more than 100 %.

    Raises:
        OlmesError: the argument is too large.
    """
    if percentage > 100:
        raise OlmesError(
            f"the argument 'percentage' must be at most 100, not {percentage}; "
            "correct the item's kwargs."
        )
