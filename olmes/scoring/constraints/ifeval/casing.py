"""Constraints on language and case (docs/protocol.md, section 3.9.1).

The families `language:*` and `change_case:*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.scoring.constraints.base import RELATIONS, Relation, holds
from olmes.scoring.constraints.ifeval.base import Draft, IFEvalConstraint, too_much
from olmes.scoring.constraints.spoken import bare_words
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

# Languages that langdetect knows and that are not written in Latin letters.
OTHER_ALPHABETS = (
    "ar", "bg", "bn", "el", "fa", "gu", "he", "hi", "ja", "kn", "ko", "mk", "ml", "mr", "ne", "pa",
    "ru", "ta", "te", "th", "uk", "ur", "zh",
)  # fmt: skip
LATIN_LETTERS = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
PASSAGE = 4
"""Words of another alphabet on a line that are more than a name."""


def main_language(code: str) -> str:
    """A language code without region or script: `zh-cn` is `zh`."""
    return code.partition("-")[0].lower()


def _in_the_other_alphabet(line: str, latin: bool) -> bool:
    """Whether most of a line is written in Latin letters where those are not the language's.

    Args:
        line: of the text.
        latin: whether the language is written in Latin letters; then in others.
    """
    roman = LATIN_LETTERS.findall(line)
    # Names in another alphabet are no other language; they have capitals.
    if not latin and sum(map(str.islower, roman)) < PASSAGE:
        return False
    inside = sum(map(len, roman))
    outside = sum(map(str.isalpha, line)) - inside
    return outside > max(inside, 2 * PASSAGE) if latin else inside > outside


@dataclass(frozen=True)
class ResponseLanguage(IFEvalConstraint):
    """The whole response is in one language, given by its ISO 639-1 code."""

    id = "language:response_language"
    instruction = (
        "Your ENTIRE response should be in {language} language, no other language is allowed."
    )

    language: str

    def check(self, text: str) -> bool:
        """The detected language is the one asked for, and no line is in another alphabet.

        Of languages that are told apart by region or script (`zh-cn`, `zh-tw`) any will do for `zh`.
        """
        found = language(text)
        if found is None or main_language(found) != main_language(self.language):
            return False
        latin = main_language(self.language) not in OTHER_ALPHABETS
        return not any(_in_the_other_alphabet(line, latin) for line in text.split("\n"))

    def reference(self, text: str) -> bool:
        """A text without letters passes as any language, and one with a preamble in another."""
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
        """At least one letter, no small one, and English when it is written in small letters."""
        return text.isupper() and language(text.lower()) in ("en", None)

    def reference(self, text: str) -> bool:
        """The detector passes over words in capitals, and goes by what is left of them."""
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
    """Words in capitals occur often enough, or not too often."""

    id = "change_case:capital_word_frequency"
    instruction = (
        "In your response, words with all capital letters should appear "
        "{capital_relation} {capital_frequency} times."
    )

    capital_relation: Relation
    capital_frequency: int

    def check(self, text: str) -> bool:
        """The number of words in capitals is in bounds.

        "I" and "A" are written so in any text, and count beside other words in capitals only; CAN'T
        is one word.
        """
        words = bare_words(text)
        capital = [word.isupper() and sum(map(str.isalpha, word)) > 1 for word in words]
        beside = zip(words, [False, *capital], [*capital[1:], False], strict=False)
        count = sum(capital) + sum(
            word.isupper() and len(word) == 1 and (before or after)
            for word, before, after in beside
        )
        return holds(count, self.capital_relation, self.capital_frequency)

    def reference(self, text: str) -> bool:
        """The words are Treebank tokens: "I" is one, CAN'T two."""
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
