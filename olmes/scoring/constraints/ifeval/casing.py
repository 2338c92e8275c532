"""Constraints on language and case (docs/protocol.md, section 3.9.1).

The families `language:*` and `change_case:*`.

A text in which the detector finds nothing to go by (digits, punctuation) passes as any language, as
in the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.scoring.constraints.base import RELATIONS, Relation, holds
from olmes.scoring.constraints.ifeval.base import Draft, IFEvalConstraint, too_much
from olmes.scoring.language import language
from olmes.scoring.text import word_tokens

# Written in scripts and words that the detector tells apart.
DRAWN_LANGUAGES = (
    "ar",
    "bn",
    "de",
    "es",
    "fi",
    "fr",
    "it",
    "ja",
    "ko",
    "pt",
    "ru",
    "ta",
    "th",
    "vi",
)


@dataclass(frozen=True)
class ResponseLanguage(IFEvalConstraint):
    """The whole response is in one language, given by its ISO 639-1 code."""

    id = "language:response_language"
    instruction = (
        "Your ENTIRE response should be in {language} language, no other language is allowed."
    )

    language: str

    def check(self, text: str) -> bool:
        """The detected language is the one asked for, or none can be detected."""
        return language(text) in (self.language, None)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A language that the detector knows well."""
        return cls(rng.choice(DRAWN_LANGUAGES))

    def require(self, draft: Draft) -> None:
        """Sentences of the language."""
        draft.language = self.language

    def offence(self) -> str:
        """Korean, or English where Korean is asked for."""
        return "This is not so." if self.language == "ko" else "그렇지 않습니다."


@dataclass(frozen=True)
class EnglishCapital(IFEvalConstraint):
    """English without a small letter."""

    id = "change_case:english_capital"
    instruction = "Your entire response should be in English, and in all capital letters."

    def check(self, text: str) -> bool:
        """At least one letter, no small one, and English as far as can be detected."""
        return text.isupper() and language(text) in ("en", None)

    def require(self, draft: Draft) -> None:
        """Capitals throughout."""
        draft.cased = str.upper


@dataclass(frozen=True)
class EnglishLowercase(IFEvalConstraint):
    """English without a capital letter."""

    id = "change_case:english_lowercase"
    instruction = (
        "Your entire response should be in English, and in all lowercase letters. "
        "No capital letters are allowed."
    )

    def check(self, text: str) -> bool:
        """At least one letter, no capital, and English as far as can be detected."""
        return text.islower() and language(text) in ("en", None)

    def require(self, draft: Draft) -> None:
        """Small letters throughout."""
        draft.cased = str.lower


@dataclass(frozen=True)
class CapitalWordFrequency(IFEvalConstraint):
    """Words in capitals occur often enough, or not too often; "I" and "A" are such words."""

    id = "change_case:capital_word_frequency"
    instruction = (
        "In your response, words with all capital letters should appear "
        "{capital_relation} {capital_frequency} times."
    )

    capital_relation: Relation
    capital_frequency: int

    def check(self, text: str) -> bool:
        """The number of Treebank tokens in capitals is in bounds."""
        count = sum(map(str.isupper, word_tokens(text)))
        return holds(count, self.capital_relation, self.capital_frequency)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to twenty words."""
        return cls(rng.choice(RELATIONS), rng.randint(1, 20))

    def require(self, draft: Draft) -> None:
        """As many words in capitals; fewer than so many has a text without any."""
        if self.capital_relation == "at least":
            draft.items += ["WE"] * self.capital_frequency

    def offence(self) -> str:
        """Too many words in capitals, or none."""
        return too_much("WE ", self.capital_relation, self.capital_frequency)
