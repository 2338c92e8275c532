"""A data set in several files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.rows.source import Numbered, Source
from olmes.tools.hashing import content_hash


class Shards(Source):
    """Sources read as one, in their order; a piece is one of a shard's."""

    def __init__(self, name: str, folder: Path, shards: Sequence[Source]) -> None:
        self.name, self.folder, self.shards = name, folder, shards
        self.inner: list[tuple[int, tuple[int, int]]] = []
        """Of each piece, the shard and its own piece; filled by `pieces`."""
        self.before = [0]
        """Numbers of rows before each shard, as far as they were counted."""

    def content(self) -> str:
        """Over what the shards hold."""
        return content_hash(["shards", *(shard.content() for shard in self.shards)])

    def pieces(self) -> list[tuple[int, int]]:
        """The number of each piece, and of its shard."""
        self.inner = [(n, one) for n, shard in enumerate(self.shards) for one in shard.pieces()]
        return [(at, shard) for at, (shard, _) in enumerate(self.inner)]

    def inside(self, piece: tuple[int, int]) -> tuple[Source, tuple[int, int]]:
        """The shard of a piece and the shard's own piece."""
        if not self.inner:
            self.pieces()
        shard, own = self.inner[piece[0]]
        return self.shards[shard], own

    def read(self, piece: tuple[int, int]) -> Numbered:
        """The rows of a piece, numbered as the shard does."""
        shard, own = self.inside(piece)
        return shard.read(own)

    def number(self, piece: tuple[int, int], given: int) -> int:
        """The number over all shards: those before are counted, once."""
        shard, own = self.inside(piece)
        return self.numbers_before(piece[1]) + shard.number(own, given)

    def numbers(self) -> int:
        """Of all shards."""
        return self.numbers_before(len(self.shards))

    def numbers_before(self, shard: int) -> int:
        """Numbers of rows in the shards before one."""
        while len(self.before) <= shard:
            self.before.append(self.before[-1] + self.shards[len(self.before) - 1].numbers())
        return self.before[shard]
