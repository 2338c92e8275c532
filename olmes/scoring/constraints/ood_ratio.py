"""Constraints of IFEval-OOD and IFBench on ratios (protocol page, section 4.6.1, `ratio:*`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ood_base import OodConstraint
from olmes.scoring.constraints.ood_text import bare_words, ending
from olmes.scoring.constraints.ood_vocabulary import STOP_WORDS
from olmes.scoring.constraints.vocabulary import NOUNS
from olmes.scoring.text import sentences, words

TOLERANCE = 2


def trigrams(units: Sequence[Hashable]) -> set[tuple[Hashable, ...]]:
    """The different runs of three units."""
    return set(zip(units, islice(units, 1, None), islice(units, 2, None), strict=False))


@dataclass(frozen=True)
class Overlap(OodConstraint):
    """A given share of the response's trigrams stands in a reference text as well."""

    id = "ratio:overlap"
    instruction = (
        "Maintain a trigram overlap of {percentage}% (±2%) with the provided reference text. "
        "Reference text: {reference_text}"
    )

    reference_text: str
    percentage: int

    def __post_init__(self) -> None:
        require_percentage(self.percentage)

    @cached_property
    def word_trigrams(self) -> set[tuple[Hashable, ...]]:
        """The trigrams of words of the reference text."""
        return trigrams(words(self.reference_text.lower()))

    @cached_property
    def character_trigrams(self) -> set[tuple[Hashable, ...]]:
        """The trigrams of characters of the reference text."""
        return trigrams(self.reference_text)

    def check(self, text: str) -> bool:
        """Trigrams are of words, in any case; each different one counts once."""
        return self._near(trigrams(words(text.lower())), self.word_trigrams)

    def reference(self, text: str) -> bool:
        """Trigrams are of characters, blanks included."""
        return self._near(trigrams(text), self.character_trigrams)

    def _near(self, found: set[tuple[Hashable, ...]], wanted: set[tuple[Hashable, ...]]) -> bool:
        if not found:
            return False
        share = 100 * len(found & wanted) / len(found)
        return self.percentage - TOLERANCE <= share <= self.percentage + TOLERANCE

    def example(self) -> str:
        """A piece of the reference text and enough made-up words; see `ood_overlap`."""
        from olmes.scoring.constraints.ood_overlap import overlapping

        return overlapping(self)

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:
        """The prompt as the reference text, where it is long enough to tell shares apart."""
        made_up = " ".join(rng.choices(NOUNS, k=80)).capitalize() + "."
        return cls(prompt if len(words(prompt)) > 60 else made_up, rng.randint(20, 90))


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


def require_percentage(percentage: int) -> None:
    """Refuse more than 100 %.

    Raises:
        OlmesError: the argument is too large.
    """
    if percentage > 100:
        raise OlmesError(
            f"the argument 'percentage' must be at most 100, not {percentage}; "
            "mend the item's kwargs."
        )


def _marks(text: str) -> Counter[str]:
    """How many sentences end with each mark."""
    return Counter(map(ending, sentences(text)))


def _last_characters(text: str) -> Counter[str]:
    return Counter(sentence[-1:] for sentence in sentences(text))
