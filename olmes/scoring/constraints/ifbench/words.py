"""Constraints of IFEval-OOD and IFBench on each word (docs/protocol.md, section 4.6.1, `words:*`).

What is said of words, of which there must be one, and not of their order.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.ifbench.tagger import first_tag
from olmes.scoring.constraints.spoken import bare_words, treebank_tokens, unpunctuated

CLUSTER = re.compile(r"[bcdfghjklmnpqrstvwxyz]{2}")
APOSTROPHES = re.compile(r"['’]")
LONGEST_PUBLISHED_PRIME = 97
PALINDROMES = (
    "level", "radar", "civic", "kayak", "refer", "rotor", "madam", "tenet", "stats", "solos",
)  # fmt: skip


@dataclass(frozen=True)
class Consonants(OodConstraint):
    """Two consonants side by side in every word; y is one."""

    id = "words:consonants"
    instruction = (
        "Ensure each word in your response has at least one consonant cluster (two or more "
        "consonants together)."
    )

    def check(self, text: str) -> bool:
        """Every word with a letter has a cluster; an apostrophe does not part consonants."""
        spoken = [w for w in APOSTROPHES.sub("", text).lower().split() if any(map(str.isalpha, w))]
        return bool(spoken) and all(map(CLUSTER.search, spoken))

    def reference(self, text: str) -> bool:
        """What stands between blanks is a word, also a dash or a number."""
        return all(map(CLUSTER.search, text.lower().split()))

    def example(self) -> str:
        """Three words."""
        return "strong winds blow"


@dataclass(frozen=True)
class Palindromes(OodConstraint):
    """Ten palindromes of five letters or more."""

    id = "words:palindrome"
    instruction = "Include at least 10 single-word palindromes, each at least 5 characters long."

    def check(self, text: str) -> bool:
        """Ten different ones, of letters."""
        spoken = {word.lower() for word in unpunctuated(text).split() if word.isalpha()}
        return sum(len(word) > 4 and word == word[::-1] for word in spoken) > 9

    def reference(self, text: str) -> bool:
        """The same one ten times passes, and so do numbers such as 11111."""
        spoken = unpunctuated(text).lower().split()
        return sum(len(word) > 4 and word == word[::-1] for word in spoken) > 9

    def example(self) -> str:
        """Ten palindromes."""
        return " ".join(PALINDROMES)


@dataclass(frozen=True)
class PrimeLengths(OodConstraint):
    """Every word has a prime number of letters and digits."""

    id = "words:prime_lengths"
    instruction = "Use only words with lengths that are prime numbers."

    def check(self, text: str) -> bool:
        """There is a word; marks are not counted."""
        lengths = {sum(map(str.isalnum, word)) for word in bare_words(text)}
        return bool(lengths) and all(map(_is_prime, lengths))

    def reference(self, text: str) -> bool:
        """Marks alone pass; a curly apostrophe is a letter; no prime is larger than 97."""
        lengths = {len(word) for word in unpunctuated(text).split()}
        return all(n <= LONGEST_PUBLISHED_PRIME and _is_prime(n) for n in lengths)

    def example(self) -> str:
        """Four words."""
        return "Old birds see us."


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


@dataclass(frozen=True)
class Repeats(OodConstraint):
    """No word occurs too often."""

    id = "words:repeats"
    instruction = "The response should not repeat any word more than {small_n} times."

    small_n: int

    def __post_init__(self) -> None:
        require_at_least(1, small_n=self.small_n)

    def check(self, text: str) -> bool:
        """There is a word, and none is written more than `small_n` times, in any case."""
        counts = Counter(word.lower() for word in bare_words(text))
        return bool(counts) and max(counts.values()) <= self.small_n

    def reference(self, text: str) -> bool:
        """Marks alone pass; marks within words are deleted ("it's" is "its")."""
        counts = Counter(unpunctuated(text.lower()).split())
        return all(count <= self.small_n for count in counts.values())

    def example(self) -> str:
        """Three different words."""
        return "Old rivers sing."

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to five times."""
        return cls(rng.randint(1, 5))


@dataclass(frozen=True)
class StartVerb(OodConstraint):
    """The first word is a verb, as a part-of-speech tagger sees it."""

    id = "words:start_verb"
    instruction = "The response must start with a verb."

    def check(self, text: str) -> bool:
        """The tag of the first word is one of the Penn Treebank's for verbs.

        The word is tagged as it is written and with a small letter, since the capital at the
        beginning makes the tagger think of names. Asterisks, and marks before it, do not count.
        """
        tokens = treebank_tokens(text.replace("*", ""))
        spoken = (n for n, token in enumerate(tokens) if any(map(str.isalnum, token)))
        first = next(spoken, None)
        if first is None:
            return False
        word, *after = tokens[first : first + 3]
        return any("VB" in first_tag([spelled, *after]) for spelled in (word, word.lower()))

    def reference(self, text: str) -> bool:
        """A mark at the beginning is not a verb, nor "Use" in "Use the bridge", taken for a name."""
        tokens = treebank_tokens(text)
        return bool(tokens) and "VB" in first_tag(tokens[:3])

    def example(self) -> str:
        """An imperative."""
        return "Take the bridge over the river."


@dataclass(frozen=True)
class Vowels(OodConstraint):
    """One paragraph in which only three of the five vowels occur."""

    id = "words:vowel"
    instruction = "Write a paragraph using words that contain only three types of vowels."

    def check(self, text: str) -> bool:
        """One line with a word; é counts as e."""
        return bool(bare_words(text)) and self.reference(unicodedata.normalize("NFD", text))

    def reference(self, text: str) -> bool:
        """Marks alone pass, and vowels with accents are none."""
        return "\n" not in text.strip() and len(set(text.lower()) & set("aeiou")) <= 3

    def example(self) -> str:
        """With a and e."""
        return "The lake has waves and we hear them."
