"""Constraints on length and paragraphs (docs/protocol.md, section 3.9.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.base import RELATIONS, Relation, holds
from olmes.scoring.constraints.ifeval.base import Draft, IFEvalConstraint, too_much
from olmes.scoring.constraints.spoken import bare_words, full_sentences
from olmes.scoring.constraints.vocabulary import draw_words
from olmes.scoring.text import sentences, words

DIVIDER = re.compile(r"\s?\*\*\*\s?")
EMPHASIS = re.compile(r"(?<!\*)\*{3}(?![\s*])([^*\n]*)(?<!\s)\*{3}(?!\*)")
DIVIDER_ALONE = re.compile(
    r"(?<!\*)(?:\*{3}|\\\*\\\*\\\*)(?!\*)|^[ \t]*\* \* \*[ \t]*$", re.MULTILINE
)
BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
ENDS_FIRST_WORD = re.compile(r"[.,?!'\"]")


@dataclass(frozen=True)
class NumberSentences(IFEvalConstraint):
    """Long or short enough in sentences."""

    id = "length_constraints:number_sentences"
    instruction = "Your response should contain {relation} {num_sentences} sentences."

    relation: Relation
    num_sentences: int

    def check(self, text: str) -> bool:
        """The number of sentences is in bounds, as a reader counts them."""
        return holds(len(full_sentences(text)), self.relation, self.num_sentences)

    def reference(self, text: str) -> bool:
        """As Punkt's English model cuts the text as a whole.

        The number before an item of a list is a sentence, and paragraphs without a final mark run
        together.
        """
        return holds(len(sentences(text)), self.relation, self.num_sentences)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Up to 20 sentences."""
        return cls(rng.choice(RELATIONS), rng.randint(2, 20))

    def require(self, draft: Draft) -> None:
        """As many sentences."""
        if self.relation == "at least":
            draft.sentences = max(draft.sentences, self.num_sentences)

    def offence(self) -> str:
        """Too many sentences, or too few."""
        return too_much("This is so. ", self.relation, self.num_sentences)


@dataclass(frozen=True)
class NumberWords(IFEvalConstraint):
    """Long or short enough in words."""

    id = "length_constraints:number_words"
    instruction = "Answer with {relation} {num_words} words."

    relation: Relation
    num_words: int

    def check(self, text: str) -> bool:
        """The number of words is in bounds; "don't" is one."""
        return holds(len(bare_words(text)), self.relation, self.num_words)

    def reference(self, text: str) -> bool:
        """Words are runs of letters, digits and underscores: "don't" is two."""
        return holds(len(words(text)), self.relation, self.num_words)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """100 to 500 words."""
        return cls(rng.choice(RELATIONS), rng.randint(100, 500))

    def require(self, draft: Draft) -> None:
        """As many words."""
        if self.relation == "at least":
            draft.words = max(draft.words, self.num_words)

    def offence(self) -> str:
        """Too many words, or too few."""
        return too_much("we ", self.relation, self.num_words)


@dataclass(frozen=True)
class NumberParagraphs(IFEvalConstraint):
    """Exactly so many paragraphs between `***` dividers."""

    id = "length_constraints:number_paragraphs"
    instruction = (
        "There should be {num_paragraphs} paragraphs. "
        "Paragraphs are separated with the markdown divider: ***"
    )

    num_paragraphs: int

    def check(self, text: str) -> bool:
        """As many paragraphs as asked for between dividers; ***emphasis*** divides nothing."""
        paragraphs = DIVIDER_ALONE.split(EMPHASIS.sub(r"\1", text))
        return sum(map(bool, map(bare_words, paragraphs))) == self.num_paragraphs

    def reference(self, text: str) -> bool:
        """Three asterisks divide in ***emphasis***, too; two dividers in a row fail."""
        first, *rest = (bool(part.strip()) for part in DIVIDER.split(text))
        middle, last = rest[:-1], rest[-1:]
        return all(middle) and first + len(middle) + sum(last) == self.num_paragraphs

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to five paragraphs."""
        return cls(rng.randint(2, 5))

    def require(self, draft: Draft) -> None:
        """As many paragraphs, divided by asterisks."""
        draft.paragraphs, draft.divider = self.num_paragraphs, "\n***\n"


@dataclass(frozen=True)
class NthParagraphFirstWord(IFEvalConstraint):
    """Exactly so many paragraphs between blank lines, one of which begins with a given word."""

    id = "length_constraints:nth_paragraph_first_word"
    instruction = (
        "There should be {num_paragraphs} paragraphs. Paragraphs and only paragraphs are separated "
        "with each other by two new lines as if it was '\\n\\n' in python. "
        "Paragraph {nth_paragraph} must start with word {first_word}."
    )

    num_paragraphs: int
    nth_paragraph: int
    first_word: str

    def __post_init__(self) -> None:
        if not 1 <= self.nth_paragraph <= self.num_paragraphs:
            raise OlmesError(
                f"the argument 'nth_paragraph' must be 1 to {self.num_paragraphs}, "
                f"not {self.nth_paragraph}; correct the item's kwargs."
            )

    def check(self, text: str) -> bool:
        """The count of paragraphs that are not blank and the first word are as asked for.

        Marks before the word, and what follows the first mark in it, do not belong to it.
        """
        paragraphs = list(filter(None, map(bare_words, BLANK_LINE.split(text))))
        if len(paragraphs) != self.num_paragraphs:
            return False
        first = paragraphs[self.nth_paragraph - 1][0].replace("’", "'")
        return ENDS_FIRST_WORD.split(first, maxsplit=1)[0].lower() == self.first_word.lower()

    def reference(self, text: str) -> bool:
        """The n-th paragraph is counted with blank ones, their number without.

        Leading quotes and what follows the first punctuation mark do not belong to the word.
        """
        pieces = text.split("\n\n")
        nth = pieces[self.nth_paragraph - 1].split() if self.nth_paragraph <= len(pieces) else []
        if not nth or sum(bool(piece.strip()) for piece in pieces) != self.num_paragraphs:
            return False
        first = ENDS_FIRST_WORD.split(nth[0].lstrip("'").lstrip('"'), maxsplit=1)[0]
        return first.lower() == self.first_word.lower()

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to five paragraphs, a noun at the head of one."""
        count = rng.randint(2, 5)
        return cls(count, rng.randint(1, count), draw_words(rng, 1)[0])

    def require(self, draft: Draft) -> None:
        """As many paragraphs, and how the one begins."""
        draft.paragraphs, draft.divider = self.num_paragraphs, "\n\n"
        draft.openers[self.nth_paragraph - 1] = self.first_word
