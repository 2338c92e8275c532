"""Reading a judge's answer: strict, for a rating that was guessed is worse than one that is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from olmes.synthesis.preferences.aspects import HIGHEST, LOWEST, Aspect

NotApplicable = Literal["N/A"]
NOT_APPLICABLE: NotApplicable = "N/A"
Rating = int | NotApplicable | None
"""1 to 5; `N/A` where the aspect does not apply to the task; None where no rating could be read."""

HEADING = re.compile(r"[ \t#*_]*(?:output for\s+)?<?text\s*(\d{1,3})>?[ \t#*_:]*", re.IGNORECASE)
"""The line that a text's part begins with. A quoted line (`> `) is none."""
RATED = re.compile(r"[ \t#*_-]*rating[ \t*_]*:(.*)", re.IGNORECASE)
"""A line with a rating."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
NONE_APPLIES = re.compile(r"n\s*/\s*a\b|not applicable\b", re.IGNORECASE)
OUT_OF = re.compile(r"(?:/|\bout of)\s*5\b(?![.,]\d)", re.IGNORECASE)
"""The scale's own end behind a rating: `4/5`, `4 out of 5`."""
MARKS = " \t*_`[](){}<>.\"'"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says of each text shown."""

    ratings: tuple[Rating, ...]

    @property
    def unread(self) -> int:
        """Texts without a rating."""
        return sum(rating is None for rating in self.ratings)


def read_ratings(answer: str, count: int, aspect: Aspect) -> Reading:
    """The ratings in an answer, by the text's place in the question.

    A text's part begins at the line with its heading, which holds nothing else, and goes on to the
    next heading. Its rating stands on a line of its own that begins with `Rating:`. A text with two
    ratings that differ (where the judge repeats what a text says, or changes its mind) has none, and so
    has one whose line says two numbers, a fraction or one beyond the scale. Parts for texts that were
    not shown are passed over.

    Args:
        answer: without the judge's thought.
        count: texts shown.
        aspect: what was asked.
    """
    found: list[set[Rating]] = [set() for _ in range(count)]
    current: set[Rating] | None = None
    for line in answer.splitlines():
        if heading := HEADING.fullmatch(line):
            number = int(heading[1])
            current = found[number - 1] if 1 <= number <= count else None
        elif current is not None and (rated := RATED.fullmatch(line)):
            current.add(rating_of(rated[1], aspect))
    return Reading(tuple(ratings.pop() if len(ratings) == 1 else None for ratings in found))


def rating_of(text: str, aspect: Aspect) -> Rating:
    """What stands behind `Rating:`: a number on the scale, perhaps with the scale's end and words."""
    said = text.strip(MARKS)
    if NONE_APPLIES.match(said):
        return NOT_APPLICABLE if aspect.may_not_apply and not NUMBER.search(said) else None
    numbers = NUMBER.findall(OUT_OF.sub("", said))
    if len(numbers) != 1 or not said.startswith(numbers[0]):
        return None
    number = numbers[0]
    behind = said[len(number) :]
    if not number.isdecimal() or behind[:1].isalpha() or behind.lstrip(MARKS)[:1] in ("%", "+"):
        return None
    if "/" in behind.lstrip(MARKS)[:1] and not OUT_OF.match(behind.lstrip(MARKS)):
        return None
    return int(number) if LOWEST <= int(number) <= HIGHEST else None
