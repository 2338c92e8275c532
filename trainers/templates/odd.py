"""Rows that a template renders oddly, or refuses: counted while they are tokenized, then told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from olmes.errors import OlmesError

CHANGED = "an answer is rendered in other words: without its outer whitespace or a thought"
ENDLESS = "an answer has no special token behind it that would end it"
REACHING = "an answer begins within a token"
MILD = (CHANGED, ENDLESS, REACHING)
"""Notes of rows that are trained on."""
MOST_REFUSED = 0.1
"""Share of the rows that may be left out: where there are more, template and data do not fit."""
Notes = Mapping[str, Mapping[str, int]]
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


def odd_lines(notes: Notes, count: int, things: str) -> list[str]:
    """Lines about odd rows; those that were refused come first.

    Args:
        notes: `OddRows.notes`, of all pieces together.
        count: of all rows.
        things: what a row is, in the plural.

    Raises:
        OlmesError: the template refuses more than `MOST_REFUSED` of the rows.
    """
    odd = notes["odd"]
    ordered = sorted(odd, key=lambda note: (note in MILD, -odd[note]))
    refused = [note for note in ordered if note not in MILD]
    if sum(odd[note] for note in refused) > MOST_REFUSED * count:
        raise OlmesError(
            f"{sum(odd[note] for note in refused)} of {count} {things} cannot be trained on with this "
            f"chat template: {refused[0].rstrip('.')} ({first_row(notes, refused[0])}); leave them out "
            "of the data, or choose another template ('tulu')."
        )
    return [
        f"{odd[note]} of {count} {things}{' left out' if note in refused else ''}: "
        f"{note.rstrip('.')} ({first_row(notes, note)})"
        for note in ordered
    ]


def first_row(notes: Notes, note: str) -> str:
    """The first row that has a note."""
    shown = min(key for key in notes["first"] if key.startswith(f"{note}\n"))
    return "first " + " ".join(shown.removeprefix(f"{note}\n").split())
