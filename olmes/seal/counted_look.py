"""A look at held-out tasks as a place that knows more than one ledger sees it."""

from __future__ import annotations

from olmes.records.schema import HeldOut


class CountedLook(HeldOut, frozen=True, kw_only=True):
    """A record's look, with what went before it elsewhere. It is shown and never written."""

    known_before: int
    """Looks before this one over every ledger that is known; `looks_before` is its own ledger's."""
