"""Rows that a template renders oddly, or refuses: counted while they are tokenized, then told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

CHANGED = "an answer is rendered in other words: without its outer whitespace or a thought"
ENDLESS = "an answer has no special token behind it that would end it"
REACHING = "an answer begins within a token"
MILD = (CHANGED, ENDLESS, REACHING)
"""Notes of rows that are trained on."""
BEGINNING = 60
"""Characters by which a row is shown."""


class OddRows:
    """Counts the notes of rows, and keeps of each note the first row that has it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: Counter[str] = Counter()

    def add(self, note: str, index: int, turns: Sequence[Mapping[str, Any]]) -> None:
        """One row; '' is no note."""
        if note and not self.counts[note]:
            begins = str(turns[0]["content"])[:BEGINNING] if turns else ""
            # Rows of all pieces sort by their number.
            self.first[f"{note}\nrow {index + 1:>15} of the mixture, {begins!r} ..."] += 1
        if note:
            self.counts[note] += 1

    def notes(self) -> dict[str, Counter[str]]:
        """`odd`: how many rows have which note; `first`: which row has it first."""
        return {"odd": self.counts, "first": self.first}


def odd_lines(notes: Mapping[str, Mapping[str, int]], count: int, things: str) -> list[str]:
    """Lines about odd rows; those that were refused come first.

    Args:
        notes: `OddRows.notes`, of all pieces together.
        count: of all rows.
        things: what a row is, in the plural.
    """
    odd = notes["odd"]
    lines: list[str] = []
    for note in sorted(odd, key=lambda note: (note in MILD, -odd[note])):
        shown = min(key for key in notes["first"] if key.startswith(f"{note}\n"))
        where = " ".join(shown.removeprefix(f"{note}\n").split())
        left_out = ":" if note in MILD else " left out:"
        lines.append(
            f"{odd[note]} of {count} {things}{left_out} {note.rstrip('.')} (first {where})"
        )
    return lines


def all_refused(notes: Mapping[str, Mapping[str, int]], count: int) -> str:
    """Why a template refuses every row; '' where it takes one."""
    reasons = [note for note in notes["odd"] if note not in MILD]
    refused = sum(notes["odd"][note] for note in reasons)
    return reasons[0].rstrip(".") + "." if count and refused == count else ""
