"""Constraints on layout (docs/protocol.md, section 3.9.1, `detectable_format:*`).

The expressions find what the reference's find, but in time linear in the text: a response of a
million brackets or line feeds must not stop a run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.scoring.constraints.ifeval.base import BLANK, Draft, IFEvalConstraint
from olmes.scoring.constraints.ifeval.keywords import keyword_pattern

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
STARRED = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
DASHED = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)
HIGHLIGHTED = re.compile(r"\*([^\n*]*)\*")
DOUBLY_HIGHLIGHTED = re.compile(r"\*\*([^\n*]*)\*\*")


@dataclass(frozen=True)
class NumberBulletLists(IFEvalConstraint):
    """Exactly so many bullet points: lines that begin with one asterisk or a hyphen."""

    id = "detectable_format:number_bullet_lists"
    instruction = (
        "Your answer must contain exactly {num_bullets} bullet points. Use the markdown bullet "
        "points such as:\n* This is point 1. \n* This is point 2"
    )

    num_bullets: int

    def check(self, text: str) -> bool:
        """Bullets with an asterisk and bullets with a hyphen add up."""
        return len(STARRED.findall(text)) + len(DASHED.findall(text)) == self.num_bullets

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to five bullets."""
        return cls(rng.randint(2, 5))

    def require(self, draft: Draft) -> None:
        """As many bullets."""
        draft.lines += [f"- {BLANK}"] * self.num_bullets

    def offence(self) -> str:
        """No bullet, or one where none is asked for."""
        return "7" if self.num_bullets else "- 7"


@dataclass(frozen=True)
class ConstrainedResponse(IFEvalConstraint):
    """One of three fixed sentences occurs."""

    id = "detectable_format:constrained_response"
    instruction = f"Answer with one of the following options: {', '.join(OPTIONS)}"

    def check(self, text: str) -> bool:
        """Some option is found, whatever stands around it."""
        return any(option in text for option in OPTIONS)

    def require(self, draft: Draft) -> None:
        """The first of the three answers."""
        draft.lines.append(OPTIONS[0])


@dataclass(frozen=True)
class NumberHighlightedSections(IFEvalConstraint):
    """At least so many passages between asterisks on one line."""

    id = "detectable_format:number_highlighted_sections"
    instruction = (
        "Highlight at least {num_highlights} sections in your answer with markdown, "
        "i.e. *highlighted section*."
    )

    num_highlights: int

    def check(self, text: str) -> bool:
        """Passages between single and between double asterisks add up; empty ones do not count."""
        found = HIGHLIGHTED.findall(text) + DOUBLY_HIGHLIGHTED.findall(text)
        return sum(bool(passage.strip()) for passage in found) >= self.num_highlights

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to four highlights."""
        return cls(rng.randint(1, 4))

    def require(self, draft: Draft) -> None:
        """As many highlighted words."""
        draft.items += [f"*{BLANK}*"] * self.num_highlights


@dataclass(frozen=True)
class MultipleSections(IFEvalConstraint):
    """At least so many headings made of a word and a number, such as "Section 2"."""

    id = "detectable_format:multiple_sections"
    instruction = (
        "Your response must have {num_sections} sections. Mark the beginning of each section with "
        "{section_spliter} X, such as:\n{section_spliter} 1\n[content of section 1]\n"
        "{section_spliter} 2\n[content of section 2]"
    )

    section_spliter: str
    num_sections: int

    @cached_property
    def heading(self) -> re.Pattern[str]:
        """The word, as a case-sensitive regular expression, and a number."""
        word = self.section_spliter.strip()
        if keyword_pattern(word).pattern != word:
            word = re.escape(word)
        return re.compile(rf"\s?{word}\s?\d+\s?")

    def check(self, text: str) -> bool:
        """Cutting at the headings leaves enough pieces."""
        return len(self.heading.split(text)) - 1 >= self.num_sections

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to five sections."""
        return cls(rng.choice(("Section", "SECTION", "Part", "Day")), rng.randint(2, 5))

    def require(self, draft: Draft) -> None:
        """As many sections with their headings."""
        word = self.section_spliter.strip()
        draft.lines += [f"{word} {n}\n{BLANK}" for n in range(1, self.num_sections + 1)]


@dataclass(frozen=True)
class JsonFormat(IFEvalConstraint):
    """The whole response is JSON, if need be in a Markdown code block."""

    id = "detectable_format:json_format"
    instruction = (
        "Entire output should be wrapped in JSON format. You can use markdown ticks such as ```."
    )

    def check(self, text: str) -> bool:
        """What is left without the ticks is a JSON value of any kind."""
        text = text.strip()
        for ticks in ("```json", "```Json", "```JSON", "```"):
            text = text.removeprefix(ticks)
        try:
            json.loads(text.removesuffix("```").strip())
        except (ValueError, RecursionError):  # Nested too deep to be read is not JSON to anyone.
            return False
        return True

    def require(self, draft: Draft) -> None:
        """Everything as one JSON string."""
        draft.wrapped = json.dumps

    def offence(self) -> str:
        """An object that is not closed."""
        return "{"


@dataclass(frozen=True)
class Title(IFEvalConstraint):
    """A title in double angular brackets on one line."""

    id = "detectable_format:title"
    instruction = (
        "Your answer must contain a title, wrapped in double angular brackets, "
        "such as <<poem of joy>>."
    )

    def check(self, text: str) -> bool:
        """Some line has `<<` and later `>>` with more than brackets and blanks between."""
        for line in text.split("\n"):
            opening, closing = line.find("<<"), line.rfind(">>")
            title = line[opening:closing] if 0 <= opening < closing - 2 else ""
            if title.lstrip("<").rstrip(">").strip():
                return True
        return False

    def require(self, draft: Draft) -> None:
        """A title."""
        draft.title = True
