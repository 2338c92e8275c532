"""What the constraints of IFEval-OOD and IFBench add to a constraint: an example that meets them."""

from __future__ import annotations

from abc import abstractmethod

from olmes.errors import OlmesError
from olmes.scoring.constraints.base import Constraint


class OodConstraint(Constraint):
    """Base of the constraints of IFEval-OOD (Lambert et al. 2024) and IFBench (Pyatkin et al. 2025)."""

    @abstractmethod
    def example(self) -> str:
        """A text that meets the constraint by `check` and by `reference`."""


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
