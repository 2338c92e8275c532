"""A line of a ledger as the server keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from olmes.seal.ledger import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """A line of a ledger, and what the server knows of it."""

    entry: Entry
    chain: str
    """Which ledger: the hash of its first line."""
    hash: str
    previous: str
    time: str
    brought_by: str
    """Whose request it came with first; '' where that was not noted yet."""
    arrived: str
    """When; '' where that was not noted yet."""
    parts: bool
    """Whether the line before it has another one behind it already: the ledger was continued twice."""
