"""How numbers are written and drawn, the same on every page.

Shares (0 to 1) are written as percentages with one decimal and drawn on an axis from 0 to 100; a
metric in another unit is written as it is and not drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MISSING = "–"


def is_number(value: object) -> bool:
    """Whether `value` is a finite number (a record may hold null or NaN)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: object) -> bool:
    """Whether `value` is a number from 0 to 1, which is written as a percentage."""
    return is_number(value) and 0 <= value <= 1  # type: ignore[operator]


def count(value: int) -> str:
    """A count with thousands separated: `1,319`."""
    return f"{value:,}"


def plain(value: float | None, *, share: bool) -> str:
    """A number with one decimal, a share as a percentage without its sign."""
    if value is None or not is_number(value):
        return MISSING
    text = f"{value * 100 if share else value:,.1f}"
    return "0.0" if text == "-0.0" else text


def interval(low: float | None, high: float | None, *, share: bool) -> str:
    """An interval as `[lo, hi]`; a dash where the record has none."""
    if not (is_number(low) and is_number(high)):
        return MISSING
    return f"[{plain(low, share=share)}, {plain(high, share=share)}]"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign: `+12.3`, `−0.4`."""
    if value is None or not is_number(value):
        return MISSING
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if text in {"+0.0", "−0.0"} else text


def points_interval(low: float | None, high: float | None) -> str:
    """An interval of a difference; a dash where there is none."""
    if not (is_number(low) and is_number(high)):
        return MISSING
    return f"[{points(low)}, {points(high)}]"


def p_value(value: float | None) -> str:
    """A p-value with three decimals; `< 0.001` below that."""
    if value is None or not is_number(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `12.3 s`, `5 min 02 s`, `2 h 05 min`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its interval as positions on an axis from 0 to 100."""

    low: float
    high: float
    point: float


def bar(value: float | None, low: float | None, high: float | None) -> Bar | None:
    """The drawing of a share and its interval (clipped to the axis); None for anything else."""
    if value is None or not is_share(value):
        return None
    ends = [end if end is not None and is_number(end) else value for end in (low, high)]
    low_end, high_end = (round(100 * min(max(end, 0.0), 1.0), 2) for end in ends)
    return Bar(low_end, high_end, round(100 * value, 2))
