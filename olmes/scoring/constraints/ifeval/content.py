"""Constraints on what stands where (docs/protocol.md, section 3.9.1).

The families `detectable_content:*`, `combination:*`, `startend:*` and `punctuation:*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.scoring.constraints.ifeval.base import BLANK, Draft, IFEvalConstraint
from olmes.scoring.constraints.ifeval.keywords import keyword_pattern, not_expressions

# Counts what `\[.*?\]` counts: a closing bracket whose nearest bracket on its line is an opening one.
PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
RESPONSE_DIVIDER = "******"
CLOSINGS = (
    "Is there anything else I can help with?",
    "That is all.",
    "Let me know what you think.",
)


@dataclass(frozen=True)
class NumberPlaceholders(IFEvalConstraint):
    """At least so many placeholders in square brackets."""

    id = "detectable_content:number_placeholders"
    instruction = (
        "The response must contain at least {num_placeholders} placeholders represented by square "
        "brackets, such as [address]."
    )

    num_placeholders: int

    def check(self, text: str) -> bool:
        """Enough pairs of brackets, each on one line; they may be empty."""
        return len(PLACEHOLDER.findall(text)) >= self.num_placeholders

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to four placeholders."""
        return cls(rng.randint(1, 4))

    def require(self, draft: Draft) -> None:
        """As many placeholders."""
        draft.items += [f"[{BLANK}]"] * self.num_placeholders


@dataclass(frozen=True)
class Postscript(IFEvalConstraint):
    """A postscript marker occurs, in any case, at any place."""

    id = "detectable_content:postscript"
    instruction = (
        "At the end of your response, please explicitly add a postscript starting with "
        "{postscript_marker}"
    )

    postscript_marker: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The marker: with optional blanks for the two usual ones, else as an expression."""
        marker = self.postscript_marker.strip()
        return keyword_pattern(POSTSCRIPTS.get(marker, marker.lower()))

    def check(self, text: str) -> bool:
        """The marker is found."""
        return bool(self.pattern.search(text.lower()))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of the two usual markers."""
        return cls(rng.choice(tuple(POSTSCRIPTS)))

    @property
    def note(self) -> str:
        """Whether the marker is not a regular expression."""
        return not_expressions([self.postscript_marker.strip()])

    def require(self, draft: Draft) -> None:
        """A postscript after its marker."""
        draft.endings.insert(0, f"{self.postscript_marker} {BLANK}")


@dataclass(frozen=True)
class TwoResponses(IFEvalConstraint):
    """Exactly two different responses, parted by six asterisks."""

    id = "combination:two_responses"
    instruction = (
        "Give two different responses. Responses and only responses should be separated by 6 "
        "asterisk symbols: ******."
    )

    def check(self, text: str) -> bool:
        """Two parts that differ; blank parts may stand at the ends only."""
        parts = [part.strip() for part in text.split(RESPONSE_DIVIDER)]
        filled = [part for part in parts if part]
        return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]

    def require(self, draft: Draft) -> None:
        """A second response."""
        draft.second = True


@dataclass(frozen=True)
class RepeatPrompt(IFEvalConstraint):
    """The response begins with the request, word for word."""

    id = "combination:repeat_prompt"
    instruction = (
        "First repeat the request word for word without change, then give your answer (1. do not "
        "say any words or characters before repeating the request; 2. the request you need to "
        "repeat does not include this sentence)"
    )

    prompt_to_repeat: str

    def check(self, text: str) -> bool:
        """Begins with the request; case and blanks at the ends do not matter."""
        return text.strip().lower().startswith(self.prompt_to_repeat.strip().lower())

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:  # noqa: ARG003
        """The request itself."""
        return cls(prompt)

    def require(self, draft: Draft) -> None:
        """The request at the beginning."""
        draft.request = self.prompt_to_repeat


@dataclass(frozen=True)
class EndChecker(IFEvalConstraint):
    """The response ends with a given phrase."""

    id = "startend:end_checker"
    instruction = (
        "Finish your response with this exact phrase {end_phrase}. "
        "No other words should follow this phrase."
    )

    end_phrase: str

    def check(self, text: str) -> bool:
        """Ends with the phrase; case, and blanks and double quotes around the text, do not matter."""
        return text.strip().strip('"').lower().endswith(self.end_phrase.strip().lower())

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A usual closing phrase."""
        return cls(rng.choice(CLOSINGS))

    def require(self, draft: Draft) -> None:
        """The phrase at the end."""
        draft.endings.append(self.end_phrase)


@dataclass(frozen=True)
class Quotation(IFEvalConstraint):
    """The whole response stands between double quotation marks."""

    id = "startend:quotation"
    instruction = "Wrap your entire response with double quotation marks."

    def check(self, text: str) -> bool:
        """First and last character that are not blank are straight double quotes."""
        text = text.strip()
        return len(text) > 1 and text.startswith('"') and text.endswith('"')

    def require(self, draft: Draft) -> None:
        """Quotation marks around everything."""
        draft.wrapped = '"{}"'.format


@dataclass(frozen=True)
class NoComma(IFEvalConstraint):
    """Not one comma."""

    id = "punctuation:no_comma"
    instruction = "In your entire response, refrain from the use of any commas."

    def check(self, text: str) -> bool:
        """There is no comma."""
        return "," not in text

    def require(self, draft: Draft) -> None:
        """No made-up word has a comma."""
        draft.allowed.append(self.check)

    def offence(self) -> str:
        """A comma."""
        return "This, that"
