"""Rows of training data and the items they overlap with, beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.marks import Marked, marks
from olmes.decontamination.matches import Match
from olmes.rows.sources import Source
from olmes.rows.texts import user_turns
from olmes.types import JsonObject

IDS = ("id", "uuid", "_id", "idx", "prompt_id", "conversation_id", "conversation_hash")
"""Fields in which data sets name their rows."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An item and a row that it overlaps with."""

    data_set: str
    match: Match
    row_id: str
    """By which the data set names the row; '' where it has no such name."""
    item: Item
    item_texts: list[Marked]
    row_parts: list[Marked]

    def to_json(self) -> JsonObject:
        """A line of `pairs.jsonl`."""
        match = self.match
        return {
            "data_set": self.data_set,
            "row": match.row,
            "row_id": self.row_id or None,
            "task": match.task,
            "item": self.item.id,
            "doc_hash": self.item.doc_hash,
            "matched": match.matched,
            "tokens": match.length,
            "share": match.share,
            "item_texts": [
                {"text": one.text, "spans": list(map(list, one.spans))} for one in self.item_texts
            ],
            "row_texts": [
                {
                    "turn": one.number,
                    "start": one.start,
                    "text": one.text,
                    "spans": list(map(list, one.spans)),
                }
                for one in self.row_parts
            ],
        }


def pairs(
    source: Source,
    matches: Iterable[Match],
    evaluations: Sequence[Evaluation],
    fields: Sequence[str] = (),
) -> Iterator[Pair]:
    """The pairs of matches, which must be in the order of their rows.

    The data set is read once beside them; a row's texts are looked at only where it has matches.

    Args:
        source: what was compared.
        matches: of items that may be shown.
        evaluations: the matches' own.
        fields: of the rows, as they were compared.
    """
    by_task = {one.task: one for one in evaluations}
    rows = numbered(source)
    number, row = 0, None
    for match in matches:
        while number < match.row:
            number, row = next(rows)
        item = by_task[match.task].items[match.item]
        texts, parts = marks(item, user_turns(row, fields) if isinstance(row, Mapping) else [])
        yield Pair(source.name, match, id_of(row), item, texts, parts)


def numbered(source: Source) -> Iterator[tuple[int, Any]]:
    """Every row with its number in the whole source."""
    for piece in source.pieces():
        before = source.number(piece, 0)
        for given, row, _ in source.read(piece):
            yield before + given, row


def id_of(row: Any) -> str:
    """The name of a row; '' where it has none."""
    for name in IDS if isinstance(row, Mapping) else ():
        if isinstance(value := row.get(name), str | int) and value != "":
            return str(value)
    return ""
