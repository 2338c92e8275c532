"""Constraints of IFEval-OOD and IFBench on ratios (docs/protocol.md, section 4.6.1, `ratio:*`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.scoring.constraints.ifbench.base import OodConstraint, require_percentage
from olmes.scoring.constraints.ifbench.vocabulary import STOP_WORDS
from olmes.scoring.constraints.spoken import bare_words, ending
from olmes.scoring.text import sentences, words


@dataclass(frozen=True)
class SentenceBalance(OodConstraint):
    """As many statements as questions as exclamations."""

    id = "ratio:sentence_balance"
    instruction = (
        "Ensure that the ratio of sentence types (declarative, interrogative, exclamatory) in your "
        "response is balanced."
    )

    def check(self, text: str) -> bool:
        """The three counts are equal, and not 0."""
        counts = _marks(text)
        return counts["."] == counts["?"] == counts["!"] > 0

    def reference(self, text: str) -> bool:
        """No sentence of any kind is balanced too; a mark before a closing quote does not count."""
        counts = _last_characters(text)
        return counts["."] == counts["?"] == counts["!"]

    def example(self) -> str:
        """One of each."""
        return "The river sings. Who listens? We do!"


@dataclass(frozen=True)
class SentenceType(OodConstraint):
    """Twice as many statements as questions."""

    id = "ratio:sentence_type"
    instruction = "Maintain a 2:1 ratio of declarative to interrogative sentences in your response."

    def check(self, text: str) -> bool:
        """Twice as many, and there is a question."""
        counts = _marks(text)
        return counts["."] == 2 * counts["?"] > 0

    def reference(self, text: str) -> bool:
        """Neither statements nor questions passes too."""
        counts = _last_characters(text)
        return counts["."] == 2 * counts["?"]

    def example(self) -> str:
        """Two statements and a question."""
        return "The river sings. We listen. Who else does?"


@dataclass(frozen=True)
class SentenceWords(OodConstraint):
    """Three sentences of equal length, no word of which occurs twice."""

    id = "ratio:sentence_words"
    instruction = (
        "Respond with three sentences, all containing the same number of characters but using all "
        "different words."
    )

    def check(self, text: str) -> bool:
        """Lengths are in characters with blanks and marks; case makes no new word."""
        spoken = [word.lower() for word in bare_words(text)]
        return self.reference(text) and len(set(spoken)) == len(spoken) > 0

    def reference(self, text: str) -> bool:
        """Words may occur twice."""
        lengths = [len(sentence.strip()) for sentence in sentences(text)]
        return len(lengths) == 3 and len(set(lengths)) == 1

    def example(self) -> str:
        """Three times fourteen characters."""
        return "Rivers sing on. Winds blow far. Birds nest low."


@dataclass(frozen=True)
class StopWords(OodConstraint):
    """A low share of stop words."""

    id = "ratio:stop_words"
    instruction = (
        "Ensure that stop words constitute no more than {percentage}% of the total words in your "
        "response."
    )

    percentage: int

    def __post_init__(self) -> None:
        require_percentage(self.percentage)

    def check(self, text: str) -> bool:
        """NLTK's English stop words among runs of word characters; there must be a word."""
        spoken = words(text.lower())
        stops = sum(word in STOP_WORDS for word in spoken)
        return bool(spoken) and 100 * stops <= self.percentage * len(spoken)

    def example(self) -> str:
        """Nouns."""
        return "Rivers shape old towns."

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """10 to 50 %."""
        return cls(rng.randint(10, 50))


def _marks(text: str) -> Counter[str]:
    """How many sentences end with each mark."""
    return Counter(map(ending, sentences(text)))


def _last_characters(text: str) -> Counter[str]:
    return Counter(sentence[-1:] for sentence in sentences(text))
