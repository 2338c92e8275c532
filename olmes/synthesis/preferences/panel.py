"""What a panel of judges has said of the answers to a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from olmes.synthesis.preferences.ratings import Rating
from olmes.types import Message


@dataclass(frozen=True, slots=True)
class Answer:
    """A text that was given to a prompt; models that wrote the same have written one."""

    text: str
    models: tuple[str, ...]
    """Names of the models that wrote it, as the recipe has them."""
    on_policy: bool = False
    """Whether the model that is to be trained is one of them."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one judge says on one aspect, of all texts of a prompt."""

    judge: str
    aspect: str
    order: tuple[int, ...]
    """Number of the text in each place."""
    rotation: int
    """By how many places the judge's drawn order was rotated for this aspect."""
    ratings: tuple[Rating, ...]
    """By place."""

    @property
    def by_text(self) -> list[Rating]:
        """The ratings by the text's number."""
        found: list[Rating] = [None] * len(self.order)
        for text, rating in zip(self.order, self.ratings, strict=True):
            found[text] = rating
        return found

    @property
    def complete(self) -> bool:
        """Whether it says something of every text."""
        return None not in self.ratings


@dataclass(frozen=True, slots=True)
class Judged:
    """A prompt, its texts, and what the panel says of them."""

    id: str
    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...]
    sheets: tuple[Sheet, ...]

    def of_judge(self, judge: str) -> list[Sheet]:
        """One judge's sheets."""
        return [sheet for sheet in self.sheets if sheet.judge == judge]

    def scores(self, judge: str = "") -> list[Fraction | None]:
        """The mean rating of each text over aspects and judges, or one judge's over aspects.

        A sheet on which a text has no rating that could be read counts for none of them: a strict
        judge that leaves a text out would otherwise raise it above the others. N/A is left out for
        its own text. None is a text without any rating.
        """
        sheets = self.of_judge(judge) if judge else self.sheets
        columns = zip(*(sheet.by_text for sheet in sheets if sheet.complete), strict=True)
        found = [mean_rating(column) for column in columns]
        return found or [None] * len(self.answers)


def mean_rating(ratings: Sequence[Rating]) -> Fraction | None:
    """The mean of the ratings that are numbers, exact so that equal means are equal; None of none."""
    numbers = [rating for rating in ratings if isinstance(rating, int)]
    return Fraction(sum(numbers), len(numbers)) if numbers else None


def rated_units(judged: Sequence[Judged], aspect: str) -> Iterator[tuple[str, list[int | None]]]:
    """Each text as judges rate it on an aspect: its prompt's id, and a rating a judge or None.

    N/A is no place on the scale, and so is none here.
    """
    for one in judged:
        sheets = [sheet.by_text for sheet in one.sheets if sheet.aspect == aspect]
        for number in range(len(one.answers)):
            said = [ratings[number] for ratings in sheets]
            yield one.id, [rating if isinstance(rating, int) else None for rating in said]
