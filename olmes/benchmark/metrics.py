"""Metrics: verdicts in, one number with its standard error out."""

from __future__ import annotations

from dataclasses import dataclass

from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number a task reports.

    `Verdict.values[name]` is a float in the metric's `unit`, or a list of flags when `over_parts`:
    then the metric is the share of true flags over the parts of all items (instruction-level
    IFEval), and its standard error is clustered by item.
    """

    name: str
    help: str
    """One line: what counts as right, or what is measured."""
    honest: bool = False
    """Ours, without the known faults of the protocol's metric, which stands beside it."""
    over_parts: bool = False
    """Values are flags, one for each part of an item."""
    higher_is_better: bool = True
    """Which direction is an improvement."""
    settled: bool = False
    """Known only from all responses of an item, or of the set: `Task.settle` gives it, no scorer."""
    unit: Unit = "share"
    """`share`: between 0 and 1, shown times 100 as percent points. `number`: anything else (words,
    nats, bits per byte), shown as it is."""

    @property
    def best(self) -> float | None:
        """The best value there can be: 1 of a share, 0 where less is better; None of a number."""
        return float(self.higher_is_better) if self.unit == "share" else None

    def __post_init__(self) -> None:
        if self.over_parts and self.unit != "share":
            raise ValueError(f"{self.name} is a share of parts, so its unit must be 'share'")
