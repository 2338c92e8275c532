"""Constraints on sentences (docs/protocol.md, section 4.6.1, `sentence:*`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise
from random import Random
from typing import Self

from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.spoken import (
    EDGES,
    bare_words,
    spoken_sentences,
    treebank_tokens,
    unpunctuated,
)
from olmes.scoring.constraints.vocabulary import draw_words
from olmes.scoring.text import sentences


def grows(counts: Iterable[int]) -> bool:
    """Whether there are two counts or more, each larger than the one before."""
    counts = list(counts)
    return len(counts) > 1 and all(a < b for a, b in pairwise(counts))


@dataclass(frozen=True)
class AlliterationIncrement(OodConstraint):
    """Each sentence has a longer run of words with one first letter than the one before."""

    id = "sentence:alliteration_increment"
    instruction = (
        "Each sentence must have a longer sequence of consecutive alliterative words than the "
        "previous one."
    )

    def check(self, text: str) -> bool:
        """The longest runs grow over two sentences or more; one word alone is a run of one."""
        return grows(
            max((len(list(run)) for _, run in groupby(word[0].lower() for word in bare_words(s))))
            for s in spoken_sentences(text)
        )

    def reference(self, text: str) -> bool:
        """All words of all runs are added up, and one sentence passes."""
        sums = []
        for sentence in sentences(text):
            cut = (word.lstrip(EDGES) for word in sentence.lower().split())
            runs = [len(list(run)) for _, run in groupby(word[0] for word in cut if word)]
            sums.append(sum(run for run in runs if run > 1))
        return all(a < b for a, b in pairwise(sums))

    def example(self) -> str:
        """A run of two, then of three."""
        return "Rivers run far. Big blue boats come."


@dataclass(frozen=True)
class Increment(OodConstraint):
    """Each sentence has so many words more than the one before."""

    id = "sentence:increment"
    instruction = (
        "Each sentence in your response must contain exactly {small_n} more words than the "
        "previous one."
    )

    small_n: int

    def check(self, text: str) -> bool:
        """Two sentences or more, with equal steps."""
        counts = [len(bare_words(sentence)) for sentence in spoken_sentences(text)]
        return len(counts) > 1 and all(b - a == self.small_n for a, b in pairwise(counts))

    def reference(self, text: str) -> bool:
        """One sentence passes; a curly quotation mark between blanks is a word."""
        counts = [len(unpunctuated(sentence).split()) for sentence in sentences(text)]
        return all(b - a == self.small_n for a, b in pairwise(counts))

    def example(self) -> str:
        """A first and a second sentence."""
        return f"Rivers sing. Rivers sing{' today' * self.small_n}."

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to five words."""
        return cls(rng.randint(1, 5))


@dataclass(frozen=True)
class Keyword(OodConstraint):
    """A keyword in the N-th sentence."""

    id = "sentence:keyword"
    instruction = "The response must include keyword {word} in the {N}-th sentence."

    word: str
    N: int

    def __post_init__(self) -> None:
        require_at_least(1, N=self.N)

    def check(self, text: str) -> bool:
        """The keyword stands there as a word of its own, in any case."""
        cut = sentences(text)
        pattern = rf"\b{re.escape(self.word)}\b"
        return len(cut) >= self.N and bool(re.search(pattern, cut[self.N - 1], re.IGNORECASE))

    def example(self) -> str:
        """The keyword at the end of the last sentence."""
        return "They saw it. " * (self.N - 1) + f"They saw {self.word} there."

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A noun in one of twenty sentences."""
        return cls(draw_words(rng, 1)[0], rng.randint(1, 20))


@dataclass(frozen=True)
class KeywordPosition(OodConstraint):
    """A keyword as the m-th word of the n-th sentence."""

    id = "words:keywords_specific_position"
    instruction = (
        "Include keyword {keyword} in the {n}-th sentence, as the {m}-th word of that sentence."
    )

    keyword: str
    n: int
    m: int

    def __post_init__(self) -> None:
        require_at_least(1, n=self.n, m=self.m)

    def check(self, text: str) -> bool:
        """Words are what stands between blanks; "don't" is one."""
        cut = sentences(text)
        return len(cut) >= self.n and self._mth(bare_words(cut[self.n - 1]))

    def reference(self, text: str) -> bool:
        """Words are Treebank tokens; "don't" is two."""
        cut = sentences(text)
        if len(cut) < self.n:
            return False
        tokens = treebank_tokens(cut[self.n - 1])
        return self._mth([token for token in tokens if any(map(str.isalnum, token))])

    def _mth(self, spoken: list[str]) -> bool:
        wanted = self.keyword.strip().lower()
        return len(spoken) >= self.m and spoken[self.m - 1].lower() == wanted

    def example(self) -> str:
        """The keyword at the end of the last sentence."""
        return "They saw it. " * (self.n - 1) + "you " * (self.m - 1) + f"{self.keyword} there."

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A noun, in one of the first ten sentences, among its first ten words."""
        return cls(draw_words(rng, 1)[0], rng.randint(1, 10), rng.randint(1, 10))
