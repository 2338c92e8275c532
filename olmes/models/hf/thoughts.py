"""Following a row through its thought, token by token: where it ends, and where the answer begins.

A mark may be one token, or several, of which the last may hold more than the mark. So text is read,
but only where a mark can have been completed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes.models.hf.generation_rows import GenerationRow, RowThought
from olmes.reasoning import Reader
from olmes.reasoning.scan import scan

if TYPE_CHECKING:
    from olmes.models.hf.encoding import Encoder


@dataclass(frozen=True, slots=True)
class Step:
    """What a new token stands in."""

    name: str


THINKING = Step("thinking")
"""In a thought, or in what may become one: nothing but an end of sequence and a limit ends it."""
CLOSING = Step("closing")
"""It closes a thought: even a token that ends other things ends nothing here."""
BEGINNING = Step("beginning")
"""It begins the answer, or shows that what stands before is one already."""
ANSWERING = Step("answering")
"""In the answer."""


class Following:
    """Where the rows of a model stand in their thoughts.

    Args:
        encoder: turns tokens into text.
        reader: by which marks a thought is known.
    """

    def __init__(self, encoder: Encoder, reader: Reader) -> None:
        self.encoder = encoder
        self.reader = reader
        self.closings = tuple(dict.fromkeys(family.closing for family in reader.marks))
        longest = max((len(mark.encode()) for mark in self.closings), default=0)
        # A token holds at least one byte, and the first may be half a character.
        self.window = longest + 4

    def step(self, row: GenerationRow) -> Step:
        """Where the row's newest token stands; its `thought` is brought up to date."""
        thought = row.thought
        if thought is None:
            return ANSWERING
        was = thought.state
        closed = self.closes(row)
        if closed or was in ("before", "behind"):
            self.look(row, thought)
        if thought.state == "inside":
            return THINKING
        if thought.state == "behind":
            return CLOSING if closed else THINKING
        if thought.state == "before":
            return THINKING if thought.expected else ANSWERING
        return ANSWERING if was == "answer" and not closed else BEGINNING

    def look(self, row: GenerationRow, thought: RowThought) -> None:
        """Read the whole text, and note where it has come to."""
        text = self.encoder.answer(row.prompt_ids, row.new_ids)
        place = scan(text, self.reader_of(thought))
        if place.offset != thought.offset:
            thought.offset, thought.answer_at = place.offset, len(row.new_ids)
        thought.state, thought.begun = place.state, place.thought

    def reader_of(self, thought: RowThought) -> Reader:
        """The model's reader; a prompt without a chat opens no thought."""
        reader = self.reader
        if reader.opened == thought.opened:
            return reader
        return Reader(reader.marks, known=reader.known, opened=thought.opened, way=reader.way)

    def closes(self, row: GenerationRow) -> bool:
        """Whether the newest token completes a closing mark."""
        if not self.encoder.may_complete(self.closings, row.new_ids[-1]):
            return False
        tail = self.encoder.decode(row.new_ids[-self.window :])
        # Tags are read in any case.
        before = self.encoder.decode(row.new_ids[-self.window : -1])
        return any(count(tail, mark) > count(before, mark) for mark in self.closings)

    def answer_begins(self, row: GenerationRow, text: str) -> int:
        """Where in a row's text stop strings count: behind its thought and the white space there."""
        thought = row.thought
        if thought is None or not thought.begun:
            return 0
        if thought.state == "inside":
            return len(text)
        place = scan(text, self.reader_of(thought))
        rest = text[place.offset :]
        return place.offset + len(rest) - len(rest.lstrip())

    def thought_tokens(self, row: GenerationRow) -> int:
        """New tokens of a row's thought, its marks included."""
        thought = row.thought
        if thought is None or not thought.begun:
            return 0
        return len(row.new_ids) if thought.state == "inside" else thought.answer_at


def count(text: str, mark: str) -> int:
    """How often a mark stands in a text, in any case."""
    return text.lower().count(mark.lower())
