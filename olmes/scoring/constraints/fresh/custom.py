"""The stand-alone prompts of IFEval-OOD with arguments, so that each can be asked anew.

In Tülu 3 and IFBench a constraint of this family is one fixed prompt. Here the demand is the same and
what it is about is drawn: another question, table, list, range or topic. The checks are those of the
fixed prompts (`ood_custom`, `ood_tables`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Literal, Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.fresh import lists as lists
from olmes.scoring.constraints.fresh.tables import (
    CsvCity,
    CsvQuotes,
    CsvSpecialCharacter,
    QuizLengths,
)
from olmes.scoring.constraints.ifbench import custom as ood_custom
from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.spoken import bare_words

Order = Literal["from highest to lowest", "from lowest to highest"]
ORDERS: tuple[Order, ...] = ("from highest to lowest", "from lowest to highest")


@dataclass(frozen=True)
class _Reversed(OodConstraint):
    """An answer in reverse order."""

    question: str
    answer: str
    """Two words in small letters."""

    def __post_init__(self) -> None:
        if len(self.answer.split()) != 2:
            raise OlmesError(
                f"the argument 'answer' must be two words, not {self.answer!r}; "
                "correct the item's kwargs."
            )

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of our questions."""
        return cls(*rng.choice(lists.QUESTIONS))


@dataclass(frozen=True)
class CharacterReverse(_Reversed):
    """A sentence that answers a question, written backwards."""

    id = "custom:character_reverse"
    instruction = (
        "{question} Respond to this query, but make your sentence in reverse order of what it "
        "should be, per letter."
    )

    def check(self, text: str) -> bool:
        """The answer is backwards, and no word of question or answer stands there forwards."""
        asked = bare_words(f"{self.question} {self.answer}".lower())
        forward = {word for word in asked if len(word) > 3 and word != word[::-1]} | {"the", "is"}
        return self.answer[::-1] in text.lower() and not forward & set(bare_words(text.lower()))

    def example(self) -> str:
        """A sentence, backwards."""
        return f"It is the {self.answer}."[::-1]


@dataclass(frozen=True)
class WordReverse(_Reversed):
    """A sentence that answers a question with its words from last to first."""

    id = "custom:word_reverse"
    instruction = (
        "{question} Respond to this query, but make your sentence in reverse order of what it "
        "should be, per word."
    )

    def check(self, text: str) -> bool:
        """The answer is backwards and nowhere forwards, in three words or more."""
        spoken = bare_words(text.lower())
        first, second = self.answer.split()
        pairs = set(pairwise(spoken))
        return len(spoken) > 2 and (second, first) in pairs and (first, second) not in pairs

    def example(self) -> str:
        """A sentence, from its end."""
        return " ".join(f"It is the {self.answer}".split()[::-1])


@dataclass(frozen=True)
class DateFormatList(OodConstraint):
    """Dates between two years, parted by commas."""

    id = "custom:date_format_list"
    instruction = (
        "List {event}, separated by commas, use the following date format: YYYY-MM-DD. Do not "
        "provide an explanation."
    )

    event: str
    first_year: int
    last_year: int

    def __post_init__(self) -> None:
        require_at_least(self.first_year, last_year=self.last_year)

    def check(self, text: str) -> bool:
        """Days of these years, each once, and nothing else. What happened then is not checked."""
        return ood_custom.are_days(text, range(self.first_year, self.last_year + 1))

    def example(self) -> str:
        """Two days."""
        return f"{self.first_year:04}-12-02, {self.last_year:04}-12-18"

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of our series of events."""
        return cls(*rng.choice(lists.EVENTS))


@dataclass(frozen=True)
class EuropeanCapitals(OodConstraint):
    """The European capitals north of a latitude, in order."""

    id = "custom:european_capitals_sort"
    instruction = (
        "Give me the names of all capital cities of European countries whose latitude is higher "
        "than {latitude} degrees. List the capital cities without country names, separated by "
        "commas, sorted by latitude, {order}."
    )

    latitude: int
    order: Order

    def __post_init__(self) -> None:
        if self.latitude not in lists.LATITUDES:
            raise OlmesError(
                f"the argument 'latitude' must be one of {', '.join(map(str, lists.LATITUDES))}, "
                f"not {self.latitude}; correct the item's kwargs."
            )

    @property
    def wanted(self) -> list[str]:
        """The capitals in the order that is asked for."""
        north = [city for city, latitude in lists.CAPITALS if latitude > self.latitude]
        return north if self.order == "from highest to lowest" else north[::-1]

    def check(self, text: str) -> bool:
        """All of them in order; accents, case and a final period do not matter."""
        return ood_custom.are_capitals(text, self.wanted)

    def example(self) -> str:
        """The list."""
        return ", ".join(self.wanted)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """A latitude with no capital near it."""
        return cls(rng.choice(lists.LATITUDES), rng.choice(ORDERS))


@dataclass(frozen=True)
class Multiples(OodConstraint):
    """The multiples of a number within a range, in order, and no other number."""

    id = "custom:multiples"
    instruction = "Count from {low} to {high} but only print multiples of {step}."

    low: int
    high: int
    step: int

    def __post_init__(self) -> None:
        require_at_least(1, step=self.step)
        require_at_least(self.low, high=self.high)
        if not self.wanted:
            raise OlmesError(
                f"there is no multiple of {self.step} from {self.low} to {self.high}; "
                "correct the item's kwargs."
            )

    @property
    def wanted(self) -> list[str]:
        """The multiples."""
        return [str(n) for n in range(self.low, self.high + 1) if n % self.step == 0]

    def check(self, text: str) -> bool:
        """The numbers of the text are these."""
        return re.findall(r"\d+", text) == self.wanted

    def example(self) -> str:
        """The numbers."""
        return ", ".join(self.wanted)

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Six to eleven multiples of 3 to 13."""
        step, low = rng.randint(3, 13), rng.randint(5, 60)
        return cls(low, low + step * rng.randint(6, 10), step)


@dataclass(frozen=True)
class ReverseNewline(OodConstraint):
    """The members of a group from Z to A, one a line."""

    id = "custom:reverse_newline"
    instruction = "List {group} in reverse alphabetical order, each on a new line."

    group: str

    def __post_init__(self) -> None:
        if self.group not in lists.GROUPS:
            raise OlmesError(
                f"there is no group {self.group!r}; choose one of {'; '.join(lists.GROUPS)}."
            )

    def check(self, text: str) -> bool:
        """Each member once, sorted as written; numbering and the article do not matter."""
        return ood_custom.are_reversed(text, lists.members(self.group))

    def example(self) -> str:
        """The members."""
        return "\n".join(sorted(set(lists.members(self.group).values()), reverse=True))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of our groups."""
        return cls(rng.choice(lists.GROUPS))


@dataclass(frozen=True)
class SentenceAlphabet(ood_custom.SentenceAlphabet):
    """Twenty-six sentences about something, the first beginning with A, the last with Z."""

    instruction = (
        "Tell me a 26-sentence story about {topic} where each sentence's first word starts with the "
        "letters of the alphabet in order."
    )

    topic: str

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of our topics."""
        return cls(rng.choice(lists.STORY_TOPICS))


CUSTOM: tuple[type[OodConstraint], ...] = (
    CharacterReverse,
    CsvCity,
    CsvQuotes,
    CsvSpecialCharacter,
    DateFormatList,
    EuropeanCapitals,
    Multiples,
    QuizLengths,
    ReverseNewline,
    SentenceAlphabet,
    WordReverse,
)
