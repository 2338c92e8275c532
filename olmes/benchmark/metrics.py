"""Metrics: verdicts in, one number with its standard error out."""

from __future__ import annotations

from dataclasses import dataclass

from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number a task reports.

    `Verdict.values[name]` is a float in the metric's own unit (0 to 1 for accuracies), or a list of
    flags when `over_parts`: then the metric is the share of true flags over the parts of all items
    (instruction-level IFEval), and its standard error is clustered by item.
    """

    name: str
    help: str
    """One line: what counts as right."""
    honest: bool = False
    """Ours, without the known faults of the protocol's metric, which stands beside it."""
    over_parts: bool = False
    higher_is_better: bool = True
    unit: Unit = "share"
    """`share`: from 0 to 1, shown as a percentage, its differences as points; `number`: shown as it
    is."""
