"""What is of a page alone in how numbers are shown: counts, times, intervals of differences, bars.

How a value is written is `olmes.records.shown`'s to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from olmes.records.shown import MISSING, shown_p
from olmes.types import Unit


def is_number(value: object) -> bool:
    """Whether `value` is a number that a double holds (a record may hold null, NaN or 10**400)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def count(value: int | None) -> str:
    """A count with thousands separated: `1,319`; a dash where there is none."""
    return MISSING if value is None else f"{value:,}"


def p_value(value: float | None) -> str:
    """A p-value with three decimals; `< 0.001` below that."""
    return shown_p(value if is_number(value) else None)


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `12.3 s`, `5 min 02 s`, `2 h 05 min`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def scale_of(unit: Unit) -> int:
    """What a value is multiplied by to stand on an axis: shares are drawn from 0 to 100."""
    return 100 if unit == "share" else 1


def bounds_of(unit: Unit) -> tuple[float, float] | None:
    """The ends that an axis never exceeds."""
    return (0, 100) if unit == "share" else None


def ends_of(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    """The ends of an interval; the value itself where there is none."""
    first, last = (end if end is not None and is_number(end) else value for end in (low, high))
    return first, last


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its interval as positions on an axis from 0 to 100."""

    low: float
    high: float
    point: float


def bar(value: float | None, low: float | None, high: float | None, unit: Unit) -> Bar | None:
    """The drawing of a share and its interval (clipped to the axis); None for anything else."""
    if value is None or not is_number(value) or unit != "share":
        return None
    low_end, point, high_end = (
        round(100 * min(max(end, 0.0), 1.0), 2)
        for end in (ends_of(value, low, high)[0], value, ends_of(value, low, high)[1])
    )
    return Bar(low_end, high_end, point)
