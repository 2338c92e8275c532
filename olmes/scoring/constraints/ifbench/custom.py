"""Stand-alone prompts with one answer (docs/protocol.md, section 4.6.1, `custom:*`).

A constraint of this family is its prompt: it takes no arguments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise

from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.countries import AFRICA
from olmes.scoring.constraints.spoken import (
    EDGES,
    bare,
    bare_words,
    folded,
    spoken_sentences,
    unpunctuated,
)
from olmes.scoring.text import sentences

FORWARD = frozenset(("the", "is", "of", "bald", "eagle", "national", "symbol", "united", "states"))
NAPOLEON = range(1769, 1822)
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
CAPITALS = (
    "Reykjavik", "Helsinki", "Oslo", "Tallinn", "Stockholm", "Riga", "Moscow", "Copenhagen", "Vilnius",
    "Minsk", "Dublin", "Berlin", "Amsterdam", "Warsaw", "London", "Brussels", "Kyiv", "Prague",
    "Luxembourg", "Paris", "Vienna", "Bratislava", "Budapest", "Vaduz", "Chisinau", "Bern", "Ljubljana",
    "Zagreb",
)  # fmt: skip
"""European capitals north of 45 degrees, from north to south."""
SPELLINGS = {"kiev": "kyiv", "berne": "bern", "luxembourg city": "luxembourg"}


@dataclass(frozen=True)
class CharacterReverse(OodConstraint):
    """A sentence about the bald eagle, written backwards."""

    id = "custom:character_reverse"
    instruction = (
        "What animal is the national symbol of the US? Respond to this query, but make your "
        "sentence in reverse order of what it should be, per letter."
    )

    def check(self, text: str) -> bool:
        """The eagle is backwards, and no word of the answer stands there forwards."""
        return self.reference(text) and not set(bare_words(text.lower())) & FORWARD

    def reference(self, text: str) -> bool:
        """The eagle is backwards, whatever else is said."""
        return "elgae dlab" in text.lower()

    def example(self) -> str:
        """The answer, backwards."""
        return "The bald eagle is the national symbol of the US."[::-1]


@dataclass(frozen=True)
class WordReverse(OodConstraint):
    """A sentence about the bald eagle with its words from last to first."""

    id = "custom:word_reverse"
    instruction = (
        "What animal is the national symbol of the US? Respond to this query, but make your "
        "sentence in reverse order of what it should be, per word."
    )

    def check(self, text: str) -> bool:
        """The eagle is backwards and nowhere forwards, in three words or more."""
        spoken = bare_words(text.lower())
        pairs = list(pairwise(spoken))
        return len(spoken) > 2 and ("eagle", "bald") in pairs and ("bald", "eagle") not in pairs

    def reference(self, text: str) -> bool:
        """The eagle is backwards somewhere in a text that read backwards is one sentence."""
        backwards = " ".join(unpunctuated(text.lower()).split()[::-1])
        return "bald eagle" in backwards and backwards in sentences(backwards)

    def example(self) -> str:
        """The answer, from its end."""
        return "US the of symbol national the is eagle bald The"


@dataclass(frozen=True)
class DateFormatList(OodConstraint):
    """Dates of Napoleon's life, parted by commas."""

    id = "custom:date_format_list"
    instruction = (
        "List the start dates of all the battles Napoleon fought separated by commas, use the "
        "following date format: YYYY-MM-DD. Do not provide an explanation."
    )

    def check(self, text: str) -> bool:
        """Days that were, each once, and nothing else; a final period is allowed.

        That a battle began then is not checked.
        """
        return are_days(text, NAPOLEON)

    def reference(self, text: str) -> bool:
        """A day or month 00 passes, and so does 29 February of any year."""
        for part in text.strip().split(","):
            if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", part.strip()):
                return False
            year, month, day = map(int, part.strip().split("-"))
            if year not in NAPOLEON or month > 12 or (month and day > DAYS[month - 1]):
                return False
        return True

    def example(self) -> str:
        """Two battles."""
        return "1805-12-02, 1815-06-18"


def are_days(text: str, years: range) -> bool:
    """Whether a text is days of these years, each once, parted by commas; it may end in a period."""
    cut = [part.strip() for part in text.strip().removesuffix(".").split(",")]
    days = {_day(part, years) for part in cut}
    return None not in days and len(days) == len(cut)


def _day(text: str, years: range) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in years else None


@dataclass(frozen=True)
class EuropeanCapitals(OodConstraint):
    """The European capitals north of 45 degrees, from north to south."""

    id = "custom:european_capitals_sort"
    instruction = (
        "Give me the names of all capital cities of european countries whose latitude is higher "
        "than than 45 degrees? List the capital cities without country names, separated by commas, "
        "sorted by latitude, from highest to lowest."
    )

    def check(self, text: str) -> bool:
        """All 28, with Kyiv; accents, case and a final period do not matter."""
        return are_capitals(text, CAPITALS)

    def reference(self, text: str) -> bool:
        """The published list is without Kyiv, so that a complete answer fails."""
        cut = [part.strip() for part in folded(text).split(",") if part.strip()]
        return cut == [city for city in CAPITALS if city != "Kyiv"]

    def example(self) -> str:
        """The 28; the published check wants 27, so that no text meets both."""
        return ", ".join(CAPITALS)


def are_capitals(text: str, wanted: Sequence[str]) -> bool:
    """Whether a text is these cities in this order, parted by commas, in any spelling."""
    cut = [bare(part).lower() for part in folded(text).split(",")]
    return [SPELLINGS.get(city, city) for city in cut] == [city.lower() for city in wanted]


@dataclass(frozen=True)
class Multiples(OodConstraint):
    """The multiples of 7 from 10 to 50, in order, and no other number."""

    id = "custom:multiples"
    instruction = "Count from 10 to 50 but only print multiples of 7."

    def check(self, text: str) -> bool:
        """The numbers of the text are these."""
        return re.findall(r"\d+", text) == ["14", "21", "28", "35", "42", "49"]

    def example(self) -> str:
        """The numbers."""
        return "14, 21, 28, 35, 42, 49"


@dataclass(frozen=True)
class ReverseNewline(OodConstraint):
    """The countries of Africa from Z to A, one a line."""

    id = "custom:reverse_newline"
    instruction = "List the countries of Africa in reverse alphabetical order, each on a new line."

    def check(self, text: str) -> bool:
        """Each of the 54 members of the United Nations once, by one of its names, sorted as written.

        Numbering, accents and the article do not matter; Western Sahara may be among them.
        """
        return are_reversed(text, _african(), passed_over=("western sahara", "sahrawi"))

    def reference(self, text: str) -> bool:
        """Fifty-two lines of anything from the first with "Zimbabwe" on, sorted from last to first."""
        lines = [line.strip(EDGES) for line in text.split("\n")]
        lines = list(filter(None, lines))
        start = next((n for n, line in enumerate(lines) if "Zimbabwe" in line), None)
        if start is None:
            return False
        listed = [folded(line) for line in lines[start:]]
        return len(listed) >= 52 and listed == sorted(listed, reverse=True)

    def example(self) -> str:
        """The first name of each."""
        return "\n".join(sorted((names[0] for names in AFRICA), reverse=True))


def are_reversed(text: str, known: Mapping[str, str], *, passed_over: Collection[str] = ()) -> bool:
    """Whether the lines of a text are all members of a group from Z to A, as they are written.

    Args:
        text: what was written; numbering, accents and the article do not matter.
        known: the member that each of its names stands for, without accents, marks and article.
        passed_over: names that may be among them.
    """
    lines = [folded(line).replace("-", " ").replace("'", " ") for line in text.split("\n")]
    lines = [" ".join(bare_words(re.sub(r"^\s*\d+[.)]", "", line))).lower() for line in lines]
    names = [line.removeprefix("the ") for line in lines if line]
    found = [known.get(name) for name in names if name not in passed_over]
    return (
        None not in found
        and sorted(filter(None, found)) == sorted(set(known.values()))
        and names == sorted(names, reverse=True)
    )


@cache
def _african() -> dict[str, str]:
    """The country of every name an African country goes by, in small letters."""
    return {name.lower().removeprefix("the "): names[0] for names in AFRICA for name in names}


@dataclass(frozen=True)
class SentenceAlphabet(OodConstraint):
    """Twenty-six sentences, the first beginning with A, the last with Z."""

    id = "custom:sentence_alphabet"
    instruction = (
        "Tell me a 26-sentence story where each sentence's first word starts with the letters of "
        "the alphabet in order."
    )

    def check(self, text: str) -> bool:
        """Marks before the first word do not matter."""
        initials = "".join(bare_words(s)[0][0].lower() for s in spoken_sentences(text))
        return initials == "abcdefghijklmnopqrstuvwxyz"

    def reference(self, text: str) -> bool:
        """A quotation mark before the first word makes the sentence begin with it."""
        initials = "".join(s.lstrip()[:1].lower() for s in sentences(text))
        return initials == "abcdefghijklmnopqrstuvwxyz"

    def example(self) -> str:
        """Names that sing."""
        return " ".join(f"{letter}xx sings well." for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
