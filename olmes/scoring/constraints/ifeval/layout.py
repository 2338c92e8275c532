"""Constraints on layout (docs/protocol.md, section 3.9.1, `detectable_format:*`).

The expressions of the published checks find what the reference's find, but in time linear in the
text, as the others do: a response of a million brackets or line feeds must not stop a run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from random import Random
from typing import ClassVar, Self

from olmes.scoring.constraints.ifeval.base import BLANK, Draft, IFEvalConstraint
from olmes.scoring.constraints.ifeval.keywords import keyword_pattern
from olmes.scoring.constraints.ifeval.markdown import bullets, highlights, without_code
from olmes.scoring.constraints.spoken import LATIN, SPACED_LETTER, bare

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
STARRED = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
DASHED = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)
HIGHLIGHTED = re.compile(r"\*([^\n*]*)\*")
CODE_BLOCK = re.compile(r"(`{3,}|~{3,})[^\S\n]*(?:json\w*)?", re.IGNORECASE)
ROMAN = "[IVXLC]+"
NUMBER_WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
DOUBLY_HIGHLIGHTED = re.compile(r"\*\*([^\n*]*)\*\*")


@dataclass(frozen=True)
class NumberBulletLists(IFEvalConstraint):
    """Exactly so many bullet points."""

    id = "detectable_format:number_bullet_lists"
    instruction = (
        "Your answer must contain exactly {num_bullets} bullet points. Use the markdown bullet "
        "points such as:\n* This is point 1. \n* This is point 2"
    )

    num_bullets: int

    def check(self, text: str) -> bool:
        """Bullets of all kinds add up: "* a", "- a", "+ a", "• a"."""
        return bullets(text) == self.num_bullets

    def reference(self, text: str) -> bool:
        """Lines that begin with one asterisk or a hyphen: "*highlight*", "---" and "-5" are bullets.

        "+ a" and "• a" are none.
        """
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
    """One of three fixed sentences is the answer."""

    id = "detectable_format:constrained_response"
    instruction = f"Answer with one of the following options: {', '.join(OPTIONS)}"

    def check(self, text: str) -> bool:
        """One option is found, whatever stands around it, and none of the others."""
        return sum(option in text for option in OPTIONS) == 1

    def reference(self, text: str) -> bool:
        """Some option is found; all three together pass."""
        return any(option in text for option in OPTIONS)

    def require(self, draft: Draft) -> None:
        """The first of the three answers."""
        draft.lines.append(OPTIONS[0])


@dataclass(frozen=True)
class NumberHighlightedSections(IFEvalConstraint):
    """At least so many passages between asterisks."""

    id = "detectable_format:number_highlighted_sections"
    instruction = (
        "Highlight at least {num_highlights} sections in your answer with markdown, "
        "i.e. *highlighted section*."
    )

    num_highlights: int

    def check(self, text: str) -> bool:
        """Passages in italics and in bold add up; "2*3*4" has none."""
        return highlights(text) >= self.num_highlights

    def reference(self, text: str) -> bool:
        """What stands between two asterisks of a line, products and ***both*** twice."""
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
    """So many sections, each headed by a word and a number, such as "Section 2"."""

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
        """The word, in its own case, and a number in digits, Roman or in words, set off from the text.

        It begins a line, ends one that is a heading ("(Verse 1 - SECTION 1)"), or stands in quotes,
        brackets or bold.
        """
        word = re.escape(self.section_spliter.strip())
        number = rf"(?:[ \t]*[#:]?[ \t]*(\d+)|[ \t]+({ROMAN}|(?i:{'|'.join(NUMBER_WORDS)})))"
        marked = f"{word}{number}(?![{LATIN}])"
        places = (
            rf"^(?:_|[^\w\n])*+{marked}",
            rf"^[ \t]*[(\[<#*][^\n.?!]{{0,60}}?{marked}(?=[^\w\n]*$)",
            rf"(?<=[\"“*\[]){marked}(?=[\"”*\]:])",
        )
        return re.compile("|".join(places), re.MULTILINE)

    enough_is_more: ClassVar[bool] = False
    """Whether more sections than so many are what is asked for."""

    def check(self, text: str) -> bool:
        """Exactly so many different numbers stand above something; or more, where that is asked.

        The same number may come again, as where each of two responses has its sections.
        """
        headings = list(self.heading.finditer(text))
        filled = {
            heading[heading.lastindex or 0].lower()
            for heading, following in zip_longest(headings, headings[1:])
            if bare(text[heading.end() : following and following.start()])
        }
        more = self.enough_is_more and len(filled) > self.num_sections
        return more or len(filled) == self.num_sections

    @cached_property
    def mention(self) -> re.Pattern[str]:
        """The word, as a case-sensitive regular expression, and a number."""
        word = self.section_spliter.strip()
        if keyword_pattern(word).pattern != word:
            word = re.escape(word)
        return re.compile(rf"\s?{word}\s?\d+\s?")

    def or_more(self) -> MultipleSections:
        """The same constraint where the prompt asks for at least so many."""
        return SectionsOrMore(self.section_spliter, self.num_sections)

    def reference(self, text: str) -> bool:
        """Enough mentions anywhere: "see Section 1, Section 2"; more than asked for pass, too."""
        return len(self.mention.split(text)) - 1 >= self.num_sections

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to five sections."""
        return cls(rng.choice(("Section", "SECTION", "Part", "Day")), rng.randint(2, 5))

    def require(self, draft: Draft) -> None:
        """As many sections with their headings."""
        word = self.section_spliter.strip()
        draft.lines += [f"{word} {n}\n{BLANK}" for n in range(1, self.num_sections + 1)]


class SectionsOrMore(MultipleSections):
    """At least so many sections."""

    enough_is_more = True


@dataclass(frozen=True)
class JsonFormat(IFEvalConstraint):
    """The whole response is JSON, if need be in a Markdown code block."""

    id = "detectable_format:json_format"
    instruction = (
        "Entire output should be wrapped in JSON format. You can use markdown ticks such as ```."
    )

    def check(self, text: str) -> bool:
        """An object or an array, by itself or in one block of code, of as many ticks as there are."""
        text = text.strip()
        block = CODE_BLOCK.match(text)
        if block:
            if len(text) < block.end() + len(block[1]) or not text.endswith(block[1]):
                return False
            text = text[block.end() : -len(block[1])]
        try:
            found = json.loads(text.strip(), parse_constant=_not_json, parse_int=str)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict | list)

    def reference(self, text: str) -> bool:
        """What is left without three ticks is a JSON value: 7, "text" and NaN are some."""
        text = text.strip()
        for ticks in ("```json", "```Json", "```JSON", "```"):
            text = text.removeprefix(ticks)
        try:
            json.loads(text.removesuffix("```").strip())
        except (ValueError, RecursionError):  # Nested too deep to be read is not JSON to anyone.
            return False
        return True

    def require(self, draft: Draft) -> None:
        """Everything as one string in an array."""
        draft.wrapped = lambda text: json.dumps([text])

    def offence(self) -> str:
        """An object that is not closed."""
        return "{"


@dataclass(frozen=True)
class Title(IFEvalConstraint):
    """A title in double angular brackets."""

    id = "detectable_format:title"
    instruction = (
        "Your answer must contain a title, wrapped in double angular brackets, "
        "such as <<poem of joy>>."
    )

    def check(self, text: str) -> bool:
        """Some line has words between `<<` and `>>` that are no code.

        Blanks inside the brackets are allowed where the title stands on a line of its own.
        """
        return any(map(_has_title, without_code(text).split("\n")))

    def reference(self, text: str) -> bool:
        """Whatever stands between `<<` and `>>` on a line: "cout << 1; cin >> x;"."""
        for line in text.split("\n"):
            opening, closing = line.find("<<"), line.rfind(">>")
            title = line[opening:closing] if 0 <= opening < closing - 2 else ""
            if title.lstrip("<").rstrip(">").strip():
                return True
        return False

    def require(self, draft: Draft) -> None:
        """A title."""
        draft.title = True


def _has_title(line: str) -> bool:
    opening, closing = line.find("<<"), line.rfind(">>")
    if not 0 <= opening < closing - 2:
        return False
    title = line[opening:closing].lstrip("<").rstrip(">")
    before, after = line[:opening], line[closing:].lstrip(">")
    alone = bare(before).lower() in ("", "title") and not bare(after)
    beside_code = any(map(SPACED_LETTER.match, (before[-1:], after[:1])))
    return bool(bare(title)) and (alone or (title == title.strip() and not beside_code))


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
