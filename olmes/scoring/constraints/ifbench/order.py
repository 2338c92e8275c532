"""Constraints on words and their neighbours (docs/protocol.md, section 4.6.1, `words:*`).

An order that the text is to show needs two words, or sentences, to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from string import ascii_lowercase
from typing import Self

from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.spoken import (
    EDGES,
    PUNCTUATION,
    bare_words,
    spoken_sentences,
    treebank_tokens,
    unpunctuated,
)
from olmes.scoring.constraints.vocabulary import draw_words
from olmes.scoring.text import sentences


@dataclass(frozen=True)
class Alphabet(OodConstraint):
    """Each word begins with the letter after that of the word before, Z being followed by A."""

    id = "words:alphabet"
    instruction = (
        "Each word in your response must start with the next letter of the alphabet, looping back "
        "to 'A' after 'Z'."
    )

    def check(self, text: str) -> bool:
        """Two words or more, from any letter on."""
        initials = [word[0].lower() for word in bare_words(text)]
        return len(initials) > 1 and _in_order(initials)

    def reference(self, text: str) -> bool:
        """One word passes; a curly quotation mark is the first letter of its word."""
        initials = [word[0].lower() for word in unpunctuated(text).split()]
        return bool(initials) and _in_order(initials)

    def example(self) -> str:
        """Across the end of the alphabet."""
        return "Young zebras always bite"


def _in_order(initials: list[str]) -> bool:
    places = [ascii_lowercase.find(initial) for initial in initials]
    return min(places) >= 0 and all((b - a) % 26 == 1 for a, b in pairwise(places))


@dataclass(frozen=True)
class LastFirst(OodConstraint):
    """Each sentence begins with the word the one before ended with."""

    id = "words:last_first"
    instruction = (
        "In your response, the last word of each sentence must become the first word of the next "
        "sentence."
    )

    def check(self, text: str) -> bool:
        """Two sentences or more; neither case nor marks around words matter."""
        cut = [bare_words(sentence.lower()) for sentence in spoken_sentences(text)]
        return len(cut) > 1 and all(a[-1] == b[0] for a, b in pairwise(cut))

    def reference(self, text: str) -> bool:
        """One sentence passes; a comma after the first word makes it another word."""
        cut = [sentence.lower() for sentence in sentences(text)]
        for before, after in pairwise(cut):
            last, first = before.rstrip(EDGES).split()[-1:], after.lstrip(EDGES).split()[:1]
            if not last or last != first:
                return False
        return True

    def example(self) -> str:
        """Two sentences."""
        return "We see rivers. Rivers sing."


@dataclass(frozen=True)
class NoConsecutive(OodConstraint):
    """Neighbouring words begin with different letters."""

    id = "words:no_consecutive"
    instruction = "No two consecutive words can share the same first letter."

    def check(self, text: str) -> bool:
        """There is a word; digits count as letters."""
        initials = [word[0].lower() for word in bare_words(text)]
        return bool(initials) and all(a != b for a, b in pairwise(initials))

    def reference(self, text: str) -> bool:
        """Marks alone pass; a curly quotation mark is the first letter of its word."""
        initials = [word[0] for word in unpunctuated(text.lower()).split()]
        return all(a != b for a, b in pairwise(initials))

    def example(self) -> str:
        """Three words."""
        return "Old rivers sing."


@dataclass(frozen=True)
class OddEvenSyllables(OodConstraint):
    """Words with an odd and an even number of syllables by turns, as `syllapy` counts them."""

    id = "words:odd_even_syllables"
    instruction = "Alternate between words with odd and even numbers of syllables."

    def check(self, text: str) -> bool:
        """Two words or more, from either kind on."""
        return len(bare_words(text)) > 1 and self.reference(text)

    def reference(self, text: str) -> bool:
        """One word passes; a word with a digit has 0 syllables."""
        import syllapy  # type: ignore[import-untyped]

        counts = [syllapy.count(word) % 2 for word in unpunctuated(text).lower().split()]
        return all(a != b for a, b in pairwise(counts))

    def example(self) -> str:
        """One, two, one."""
        return "Old rivers sing."


@dataclass(frozen=True)
class ParagraphLastFirst(OodConstraint):
    """Each paragraph, a line that is not blank, ends with the word it began with."""

    id = "words:paragraph_last_first"
    instruction = (
        "Each paragraph of your response must end with the same word it started with, separate "
        "paragraphs with a newline."
    )

    def check(self, text: str) -> bool:
        """Some paragraph has two words or more; neither case nor marks around words matter."""
        cut = [bare_words(line.lower()) for line in text.split("\n")]
        return max(map(len, cut)) > 1 and all(line[0] == line[-1] for line in cut if line)

    def reference(self, text: str) -> bool:
        """One word passes; a comma after the first word makes it another word."""
        cut = [line.strip().lower().strip(EDGES).split() for line in text.split("\n")]
        return all(line[0] == line[-1] for line in cut if line)

    def example(self) -> str:
        """Two paragraphs."""
        return "Rivers feed other rivers.\nTime takes time."


@dataclass(frozen=True)
class WordsPosition(OodConstraint):
    """The second and the second to last word are a keyword."""

    id = "words:words_position"
    instruction = (
        "The second word in your response and the second to last word in your response should be "
        "the word {keyword}."
    )

    keyword: str

    def check(self, text: str) -> bool:
        """Words are what stands between blanks; there must be three."""
        spoken = bare_words(text.lower())
        return len(spoken) > 2 and spoken[1] == spoken[-2] == self.keyword.strip().lower()

    def reference(self, text: str) -> bool:
        """Marks are words, but for one at the end."""
        tokens = [token.lower() for token in treebank_tokens(text)]
        last = -3 if tokens and tokens[-1] in PUNCTUATION else -2
        wanted = self.keyword.strip().lower()
        return len(tokens) >= -last and tokens[1] == tokens[last] == wanted

    def example(self) -> str:
        """Five words."""
        return f"Old {self.keyword} and {self.keyword} again"

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A noun."""
        return cls(draw_words(rng, 1)[0])
