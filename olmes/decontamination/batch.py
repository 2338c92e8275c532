"""Some rows of training data as the numbers of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat

import numpy as np

from olmes.decontamination.ngrams import Numbers, Places
from olmes.decontamination.signs import Signs, signs
from olmes.decontamination.tokens import Token, placed, tokens

Row = tuple[int, Sequence[str]]
"""A training instance: its number and its turns."""
ROOM = 8
"""Zeros behind the last token, so that an n-gram can be read anywhere."""


class Batch:
    """Rows, their turns one behind the other, with a 0 behind each: no n-gram spans two."""

    def __init__(self, rows: Sequence[Row], known: Mapping[str, int]) -> None:
        self.turns = list(chain.from_iterable(turns for _, turns in rows))
        words, ends = list[str](), list[int]()
        for turn in self.turns:
            words += tokens(turn)
            words.append("")
            ends.append(len(words))
        self.numbers: Numbers = np.zeros(len(words) + ROOM, np.int32)
        self.numbers[: len(words)] = np.fromiter(
            map(known.get, words, repeat(0)), np.int32, len(words)
        )
        self.ends = np.array([0, *ends], np.int64)
        """Where a turn begins and the one before it, with its 0, has ended."""
        self.row_ends = self.ends[np.cumsum([len(turns) for _, turns in rows], dtype=np.int64)]
        self.placed: dict[int, tuple[Token, ...]] = {}

    def turns_of(self, size: int) -> Places:
        """Where the turns begin that have so many tokens."""
        starts: Places = self.ends[:-1][np.diff(self.ends) == size + 1]
        return starts

    def row_of(self, at: Places) -> Places:
        """In which row tokens stand, from 0."""
        rows: Places = np.searchsorted(self.row_ends, at, side="right")
        return rows

    def signs(self, at: int, size: int) -> Signs:
        """Those in a run of tokens."""
        turn = int(np.searchsorted(self.ends, at, side="right")) - 1
        if turn not in self.placed:
            self.placed[turn] = tuple(placed(self.turns[turn]))
        begin = at - int(self.ends[turn])
        return signs(self.turns[turn], self.placed[turn][begin : begin + size])
