"""Trigram overlap with a reference text (`ratio:overlap`), and texts that have a given one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice, product
from random import Random
from typing import Self

from olmes.scoring.constraints.ifbench.base import OodConstraint, require_percentage
from olmes.scoring.constraints.vocabulary import NOUNS
from olmes.scoring.text import words

# In no English reference text, so that what is written with them overlaps with nothing.
LETTERS = "αβγδεζηθικλμνξοπρστυφχψωбгдёжзийлпфцчшщъыьэюя"
CONSONANTS = ("qz", "zx", "xj", "jq", "vq", "zj", "xz", "qv")


TOLERANCE = 2


def trigrams(units: Sequence[Hashable]) -> set[tuple[Hashable, ...]]:
    """The different runs of three units."""
    return set(zip(units, islice(units, 1, None), islice(units, 2, None), strict=False))


@dataclass(frozen=True)
class Overlap(OodConstraint):
    """A given share of the response's trigrams stands in a reference text as well."""

    id = "ratio:overlap"
    instruction = (
        "Maintain a trigram overlap of {percentage}% (±2%) with the provided reference text. "
        "Reference text: {reference_text}"
    )

    reference_text: str
    percentage: int

    def __post_init__(self) -> None:
        require_percentage(self.percentage)

    @cached_property
    def word_trigrams(self) -> set[tuple[Hashable, ...]]:
        """The trigrams of words of the reference text."""
        return trigrams(words(self.reference_text.lower()))

    @cached_property
    def character_trigrams(self) -> set[tuple[Hashable, ...]]:
        """The trigrams of characters of the reference text."""
        return trigrams(self.reference_text)

    def check(self, text: str) -> bool:
        """Trigrams are of words, in any case; each different one counts once."""
        return self._near(trigrams(words(text.lower())), self.word_trigrams)

    def reference(self, text: str) -> bool:
        """Trigrams are of characters, blanks included."""
        return self._near(trigrams(text), self.character_trigrams)

    def _near(self, found: set[tuple[Hashable, ...]], wanted: set[tuple[Hashable, ...]]) -> bool:
        if not found:
            return False
        share = 100 * len(found & wanted) / len(found)
        return self.percentage - TOLERANCE <= share <= self.percentage + TOLERANCE

    def example(self) -> str:
        """A piece of the reference text and enough made-up words."""
        return overlapping(self)

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:
        """The prompt as the reference text, where it is long enough to tell shares apart."""
        made_up = " ".join(rng.choices(NOUNS, k=80)).capitalize() + "."
        return cls(prompt if len(words(prompt)) > 60 else made_up, rng.randint(20, 90))


def overlapping(constraint: Overlap, before: str = "") -> str:
    """A text that begins with `before` and meets the constraint by words and by characters.

    It continues with the reference text, and ends with made-up words. Where no such text is found,
    as with a reference text of two words, the last that was tried.
    """
    return _first(constraint, before, constraint.reference_text, clusters=False)


def overlapping_in(constraint: Overlap, is_allowed: Callable[[str], bool]) -> str:
    """A text that meets the constraint with the longest run of allowed words of the reference text.

    The made-up words after it begin with two consonants.
    """
    runs = groupby(constraint.reference_text.split(), key=is_allowed)
    longest = max((" ".join(run) for allowed, run in runs if allowed), key=_count, default="")
    return _first(constraint, "", longest, clusters=True)


def _count(run: str) -> int:
    return len(words(run))


def _first(constraint: Overlap, before: str, shared: str, *, clusters: bool) -> str:
    text = shared
    for text in candidates(constraint, before, shared, clusters=clusters):
        if constraint.check(text) and constraint.reference(text):
            return text
    return text


def candidates(constraint: Overlap, before: str, shared: str, *, clusters: bool) -> Iterator[str]:
    """Both texts, with about as many made-up words and letters after them as the share wants."""
    share = max(constraint.percentage, 1) / 100
    known = (len(trigrams(words(shared.lower()))), len(trigrams(shared)))
    count, length = (round(number * (1 - share) / share) for number in known)
    start = f"{before} {shared}".strip()
    # What `before` adds is made up for by fewer made-up words.
    shifts = sorted(range(-60, 41), key=abs) if before else sorted(range(-8, 9), key=abs)
    step = 4 if length > 100 else 1
    for by_words, by_characters in product(shifts, shifts):
        number, letters = count + by_words, length + step * by_characters
        if 0 <= number <= letters:
            yield f"{start} {made_up(number, letters, clusters=clusters)}".strip()


def made_up(count: int, length: int, *, clusters: bool = False) -> str:
    """`count` words of `length` letters and blanks together, beginning with `clusters` if wanted."""
    rng = Random(f"{count} {length}")  # noqa: S311 (a text, not a secret)
    letters = max(length - count, count)
    ends = [letters * (number + 1) // count for number in range(count)]
    starts = [0, *ends[:-1]]
    made = [
        "".join(rng.choices(LETTERS, k=end - start))
        for start, end in zip(starts, ends, strict=count > 0)
    ]
    return (
        " ".join(rng.choice(CONSONANTS) + word[2:] for word in made) if clusters else " ".join(made)
    )
