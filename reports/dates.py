"""Moments as a reader wants them."""

from __future__ import annotations

from datetime import UTC, datetime


def date(text: str) -> str:
    """`22 November 2026, 10:00 UTC`; what is no moment is shown as it is."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
