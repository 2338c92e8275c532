"""Where an item and a training instance are the same, as places in both texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from olmes.decontamination.evaluations import Item
from olmes.decontamination.matches import NGRAM
from olmes.decontamination.tokens import Token, placed

Span = tuple[int, int]
"""The characters from the first on, without the last, of a text."""
WHOLE_TURN = 3
"""A text of so few tokens is found only where it is a whole turn."""
CONTEXT = 60
"""Characters of a training instance that are shown before and after what is the same."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text, or a part of one, with the places that are the same in another."""

    text: str
    spans: tuple[Span, ...]
    number: int = 0
    """Which text of the item, or which turn of the instance, from 0."""
    start: int = 0
    """Characters of that text before this part."""

    def segments(self) -> list[tuple[str, bool]]:
        """The text in pieces, each with whether it is the same."""
        found, at = [], 0
        for start, end in self.spans:
            found += [(self.text[at:start], False), (self.text[start:end], True)]
            at = end
        return [(text, same) for text, same in (*found, (self.text[at:], False)) if text]


def marks(item: Item, turns: Sequence[str]) -> tuple[list[Marked], list[Marked]]:
    """The texts of an item, and the parts of an instance's turns around what they have in common.

    Args:
        item: it overlaps with the instance.
        turns: of the instance.
    """
    texts = [list(placed(text)) for text in item.texts]
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for number, words in enumerate(texts):
        size = min(NGRAM, len(words))
        for start in range(len(words) - size + 1 if size else 0):
            places[tuple(one.text for one in words[start : start + size])].append((number, start))
    sizes = sorted({len(key) for key in places})
    same_text: list[set[int]] = [set() for _ in texts]
    parts: list[Marked] = []
    for number, turn in enumerate(turns):
        words = list(placed(turn))
        same: set[int] = set()
        for size in sizes:
            for start in range(len(words) - size + 1):
                found = places.get(tuple(one.text for one in words[start : start + size]), ())
                if found and (size > WHOLE_TURN or size == len(words)):
                    same.update(range(start, start + size))
                    for text, at in found:
                        same_text[text].update(range(at, at + size))
        parts += around(turn, number, spans_of(words, same))
    whole = [
        Marked(text, tuple(spans_of(words, same)), number)
        for number, (text, words, same) in enumerate(zip(item.texts, texts, same_text, strict=True))
    ]
    return whole, parts


def spans_of(words: Sequence[Token], same: Iterable[int]) -> list[Span]:
    """The places of some tokens, those in a row as one."""
    found: list[Span] = []
    latest = None
    for number in sorted(same):
        start, end = words[number].start, words[number].end
        if found and (number - 1 == latest or start < found[-1][1]):
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
        latest = number
    return found


def around(turn: str, number: int, spans: Sequence[Span]) -> list[Marked]:
    """The parts of a turn around some places in it: rows may be long, and hold much else."""
    groups: list[list[Span]] = []
    for span in spans:
        if groups and span[0] - groups[-1][-1][1] <= 2 * CONTEXT:
            groups[-1].append(span)
        else:
            groups.append([span])
    parts = []
    for group in groups:
        start, end = max(0, group[0][0] - CONTEXT), group[-1][1] + CONTEXT
        inside = tuple((first - start, last - start) for first, last in group)
        parts.append(Marked(turn[start:end], inside, number, start))
    return parts
