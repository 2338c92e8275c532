"""Training data against evaluations, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from olmes.decontamination.evaluations import Evaluation
from olmes.decontamination.matches import MATCHED, NGRAM, Match
from olmes.decontamination.tokens import tokens

Key = tuple[str, ...]
Place = tuple[int, int, int, int]
"""Evaluation, item, text, and the number of the token that an n-gram begins at."""


@dataclass(frozen=True)
class Index:
    """The n-grams of evaluations; a text shorter than one is an n-gram by itself."""

    evaluations: Sequence[Evaluation]
    places: dict[Key, list[Place]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> Index:
        """The index of evaluations."""
        index = cls(evaluations)
        for number, one in enumerate(evaluations):
            for place, item in enumerate(one.items):
                for text, words in enumerate(item.tokens):
                    size = min(NGRAM, len(words))
                    for start in range(len(words) - size + 1 if size else 0):
                        key = words[start : start + size]
                        index.places[key].append((number, place, text, start))
        return index

    def matches(self, row: int, turns: Sequence[str]) -> Iterator[Match]:
        """The items that overlap with a training instance.

        Args:
            row: its number.
            turns: its texts; no n-gram spans two of them, and what is matched adds up over them.
        """
        covered: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
        for turn in turns:
            words = tokens(turn)
            for start in range(len(words)):
                for size in range(1, NGRAM + 1):
                    key = tuple(words[start : start + size])
                    if len(key) < size or (size < 4 and len(words) != size):
                        continue
                    for number, place, text, at in self.places.get(key, ()):
                        covered[number, place].update((text, at + n) for n in range(size))
        for (number, place), found in sorted(covered.items()):
            one = self.evaluations[number]
            length = one.items[place].length
            if len(found) > MATCHED * length:
                yield Match(row, one.task, place, len(found), length)
