"""Constraints on what stands where (docs/protocol.md, section 3.9.1).

The families `detectable_content:*`, `startend:*` and `punctuation:*`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.scoring.constraints.ifeval.base import BLANK, Draft, IFEvalConstraint
from olmes.scoring.constraints.ifeval.keywords import keyword_pattern, not_expressions
from olmes.scoring.constraints.spoken import STRAIGHT_QUOTES, bare

FILLABLE = re.compile(r"(^[ \t]*[*+-] )?\[([^\[\]\n]*)\](?!\()", re.MULTILINE)
# Counts what `\[.*?\]` counts: a closing bracket whose nearest bracket on its line is an opening one.
PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
POSTSCRIPTS = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
COMMA = re.compile(
    "[,\u055d\u060c\u07f8\u1363\u1802\u1808\u3001\ua4fe\ua60d\ufe10\ufe11\ufe50\ufe51\uff0c\uff64]"
)
AFTER_PHRASE = " \t\n\"'»)]}_"
"""What may stand behind a phrase that ends a text: no word, and no mark that changes the phrase."""
QUOTES = (('"', '"'), ("“", "”"), ("„", "“"), ("„", "”"), ("«", "»"), ("»", "«"))
OPENS_AFTER = "([{<—–-:=/*_\"“„«'‘"
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
        """Enough pairs of brackets that hold a letter; links, footnotes and check boxes are none."""
        found = sum(_can_be_filled_in(*pair) for pair in FILLABLE.findall(text))
        return found >= self.num_placeholders

    def reference(self, text: str) -> bool:
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
    """The response ends with a postscript after its marker, in any case."""

    id = "detectable_content:postscript"
    instruction = (
        "At the end of your response, please explicitly add a postscript starting with "
        "{postscript_marker}"
    )

    postscript_marker: str

    @cached_property
    def beginning(self) -> re.Pattern[str]:
        """The marker where a word can begin, in any case."""
        marker = self.postscript_marker.strip()
        pattern = POSTSCRIPTS.get(marker, re.escape(marker))
        return re.compile(rf"(?<![^\W_])(?<!\.)(?:{pattern})", re.IGNORECASE)

    def check(self, text: str) -> bool:
        """The marker begins the end of the text: it has words before and after it.

        No more lines follow its own than stand before it.
        """
        end = len(text) - next((n for n, c in enumerate(reversed(text)) if c.isalnum()), len(text))
        marker = None
        for found in self.beginning.finditer(text, 0, end):
            marker = found
        if marker is None or marker.end() >= end or not bare(text[: marker.start()]):
            return False
        above = sum(map(bool, map(str.strip, text[: marker.start()].split("\n"))))
        below = sum(map(bool, map(str.strip, text[marker.end() :].split("\n")[1:])))
        return below <= above

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The marker: with optional blanks for the two usual ones, else as an expression."""
        marker = self.postscript_marker.strip()
        return keyword_pattern(POSTSCRIPTS.get(marker, marker.lower()))

    def reference(self, text: str) -> bool:
        """The marker is found, in whatever place: "up. S." has "P.S."."""
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
class EndChecker(IFEvalConstraint):
    """The response ends with a given phrase."""

    id = "startend:end_checker"
    instruction = (
        "Finish your response with this exact phrase {end_phrase}. "
        "No other words should follow this phrase."
    )

    end_phrase: str

    def check(self, text: str) -> bool:
        """The last words are the phrase; case, emphasis, quotes and marks after it do not matter.

        The phrase's own last mark does.
        """
        wanted = plain(self.end_phrase).strip()
        if not wanted:
            return True
        passed_over = AFTER_PHRASE + (".!?" if wanted[-1].isalnum() else "")
        said = plain(text).rstrip(passed_over.replace(wanted[-1], ""))
        before = said.removesuffix(wanted)
        return before != said and not (before[-1:].isalnum() and wanted[0].isalnum())

    def reference(self, text: str) -> bool:
        """Also in the middle of a word; a phrase in bold or in curly quotes fails."""
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
        """The mark that opens the text is closed by the one that ends it, not before."""
        text = text.strip().strip("*").strip().replace("\\", "")
        if len(text) < 3 or (text[0], text[-1]) not in QUOTES:
            return False
        return not _closed_within(text[1:-1], text[0], text[-1])

    def reference(self, text: str) -> bool:
        """First and last character are straight double quotes, if of two quotations."""
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
        """There is no comma of any script."""
        return not COMMA.search(text)

    def reference(self, text: str) -> bool:
        """There is no comma of the Latin script."""
        return "," not in text

    def require(self, draft: Draft) -> None:
        """No made-up word has a comma."""
        draft.allowed.append(self.check)

    def offence(self) -> str:
        """A comma."""
        return "This, that"


def plain(text: str) -> str:
    """`text` in small letters, with single blanks and straight quotes, without asterisks."""
    return " ".join(text.lower().translate(STRAIGHT_QUOTES).replace("*", "").split())


def _can_be_filled_in(bullet: str, name: str) -> bool:
    """Whether what stands in brackets, after a bullet or not, names something to be filled in."""
    name = name.strip()
    ticked = bool(bullet) and name.lower() == "x"
    return any(map(str.isalpha, name)) and name[0] not in "\"'^" and not ticked


def _closed_within(text: str, opening: str, closing: str) -> bool:
    """Whether a quotation that was opened before `text` is closed in it, and not only after it."""
    depth = 1
    for found in re.finditer(f"[{opening}{closing}]", text):
        before = text[found.start() - 1 : found.start()] or opening
        after = text[found.end() : found.end() + 1]
        if opening != closing:
            depth += 1 if found[0] == opening else -1
        elif after and not after.isspace() and (before.isspace() or before in OPENS_AFTER):
            depth += 1
        elif not before.isspace() and not after.isalnum() and not (depth == 1 and before.isdigit()):
            depth -= 1
        if not depth:
            return True
    return False
