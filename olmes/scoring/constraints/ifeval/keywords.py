"""Constraints on single words and letters (docs/protocol.md, section 3.9.1, `keywords:*`).

As stated a keyword is a word: taken literally, in any case, and not inside another one. The published
checks take keywords for regular expressions; every keyword of the official file is a plain word. One
that is not a valid expression is looked for as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.base import RELATIONS, Relation, holds
from olmes.scoring.constraints.ifeval.base import Draft, IFEvalConstraint, too_much
from olmes.scoring.constraints.spoken import searchable, whole_word
from olmes.scoring.constraints.vocabulary import draw_words


def keyword_pattern(keyword: str, around: str = "") -> re.Pattern[str]:
    """The case-insensitive pattern of a keyword with the expression `around` on both sides."""
    try:
        return re.compile(around + keyword + around, re.IGNORECASE)
    except re.error:
        return re.compile(around + re.escape(keyword) + around, re.IGNORECASE)


def not_expressions(keywords: Sequence[str]) -> str:
    """A note on the keywords that are no regular expressions; empty when all are."""
    wrong = [k for k in keywords if keyword_pattern(k).pattern != k]
    return f"not a regular expression, so taken literally: {', '.join(wrong)}" if wrong else ""


@dataclass(frozen=True)
class Existence(IFEvalConstraint):
    """Every keyword occurs, anywhere, in any case."""

    id = "keywords:existence"
    instruction = "Include keywords {keywords} in the response."

    keywords: tuple[str, ...]

    @cached_property
    def patterns(self) -> list[re.Pattern[str]]:
        """One expression a keyword."""
        return [keyword_pattern(keyword) for keyword in self.keywords]

    @cached_property
    def words(self) -> list[re.Pattern[str]]:
        """The keywords as words."""
        return [whole_word(keyword) for keyword in self.keywords]

    def check(self, text: str) -> bool:
        """Every keyword is found as a word of its own: "ink" is not in "thinking"."""
        text = searchable(text)
        return all(word.search(text) for word in self.words)

    def reference(self, text: str) -> bool:
        """Keywords are expressions and are found inside other words, too."""
        return all(pattern.search(text) for pattern in self.patterns)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to three nouns."""
        return cls(draw_words(rng, rng.randint(1, 3)))

    @property
    def note(self) -> str:
        """Keywords that are no regular expressions."""
        return not_expressions(self.keywords)

    def require(self, draft: Draft) -> None:
        """Every keyword."""
        draft.items += self.keywords


@dataclass(frozen=True)
class Frequency(IFEvalConstraint):
    """A keyword occurs often enough, or not too often."""

    id = "keywords:frequency"
    instruction = "In your response, the word {keyword} should appear {relation} {frequency} times."

    keyword: str
    relation: Relation
    frequency: int

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The keyword without surrounding blanks, as an expression."""
        return keyword_pattern(self.keyword.strip())

    @cached_property
    def word(self) -> re.Pattern[str]:
        """The keyword as a word."""
        return whole_word(self.keyword)

    def check(self, text: str) -> bool:
        """The number of times it stands as a word of its own is in bounds."""
        found = self.word.findall(searchable(text))
        return holds(len(found), self.relation, self.frequency)

    def reference(self, text: str) -> bool:
        """The keyword is an expression, and counts inside other words, too ("the" in "there")."""
        return holds(len(self.pattern.findall(text)), self.relation, self.frequency)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A noun, one to three times."""
        return cls(draw_words(rng, 1)[0], rng.choice(RELATIONS), rng.randint(1, 3))

    @property
    def note(self) -> str:
        """Whether the keyword is not a regular expression."""
        return not_expressions([self.keyword.strip()])

    def require(self, draft: Draft) -> None:
        """The keyword as often as is wanted, or in no made-up word."""
        if self.relation == "at least":
            draft.items += [self.keyword.strip()] * self.frequency
        else:
            draft.allowed.append(lambda word: not self.pattern.search(word))

    def offence(self) -> str:
        """The keyword too often, or not at all."""
        return too_much(f"{self.keyword.strip()} ", self.relation, self.frequency)


@dataclass(frozen=True)
class ForbiddenWords(IFEvalConstraint):
    """None of the words occurs as a word of its own, in any case."""

    id = "keywords:forbidden_words"
    instruction = "Do not include keywords {forbidden_words} in the response."

    forbidden_words: tuple[str, ...]

    @cached_property
    def patterns(self) -> list[re.Pattern[str]]:
        """One expression a word, between word boundaries."""
        return [keyword_pattern(word, r"\b") for word in self.forbidden_words]

    @cached_property
    def words(self) -> list[re.Pattern[str]]:
        """The forbidden words as words."""
        return [whole_word(word) for word in self.forbidden_words]

    def check(self, text: str) -> bool:
        """No word is found, not in _emphasis_ either."""
        text = searchable(text)
        return not any(word.search(text) for word in self.words)

    def reference(self, text: str) -> bool:
        """Words are expressions; an underscore is a letter, so that "_word_" passes."""
        return not any(pattern.search(text) for pattern in self.patterns)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to four nouns."""
        return cls(draw_words(rng, rng.randint(1, 4)))

    @property
    def note(self) -> str:
        """Words that are no regular expressions."""
        return not_expressions(self.forbidden_words)

    def require(self, draft: Draft) -> None:
        """No made-up word is a forbidden one."""
        draft.allowed.append(self.check)

    def offence(self) -> str:
        """The first forbidden word."""
        return self.forbidden_words[0]


@dataclass(frozen=True)
class LetterFrequency(IFEvalConstraint):
    """A character occurs often enough, or not too often; case does not matter.

    Any character can be asked for. The reference replaces what is not a letter from a to z by a
    random letter, which makes its verdict on items 1122 ('#') and 1129 ('!') random.
    """

    id = "keywords:letter_frequency"
    instruction = (
        "In your response, the letter {letter} should appear {let_relation} {let_frequency} times."
    )

    letter: str
    let_relation: Relation
    let_frequency: int

    def __post_init__(self) -> None:
        if len(self.letter.strip()) != 1:
            raise OlmesError(
                f"the argument 'letter' must be one character, not {self.letter!r}; "
                "correct the item's kwargs."
            )

    def check(self, text: str) -> bool:
        """The number of occurrences is in bounds."""
        count = text.lower().count(self.letter.strip().lower())
        return holds(count, self.let_relation, self.let_frequency)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A letter, one to ten times."""
        return cls(
            rng.choice("abcdefghijklmnopqrstuvwxyz"), rng.choice(RELATIONS), rng.randint(1, 10)
        )

    @property
    def note(self) -> str:
        """Whether the reference would have drawn another letter."""
        if "a" <= self.letter.strip().lower() <= "z":
            return ""
        return f"{self.letter.strip()!r} is counted as asked; the reference draws a random letter"

    def require(self, draft: Draft) -> None:
        """The letter as often as is wanted, or in no made-up word."""
        letter = self.letter.strip().lower()
        if self.let_relation == "at least":
            draft.items.append(letter * self.let_frequency)
        else:
            draft.allowed.append(lambda word: letter not in word)

    def offence(self) -> str:
        """The letter too often, or not at all."""
        return too_much(self.letter, self.let_relation, self.let_frequency)
