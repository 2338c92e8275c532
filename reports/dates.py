"""Moments as a reader wants them."""

from __future__ import annotations

from datetime import UTC, datetime


def date(text: str) -> str:
    """`22 November 2026, 10:00 UTC`; a time that is not ISO 8601 is shown as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
