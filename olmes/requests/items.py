"""The items of a run: which responses it needs, an instance and a repeat each.

Items are made when they are looked at. What is stored is an instance, its request and 8 bytes an
item, so that the repeats of a long run cost next to nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, TypeVar, overload

from olmes.requests.request_hash import RequestHasher
from olmes.types import Doc, Instance, Request

T = TypeVar("T")


class Item(NamedTuple):
    """One response of a run."""

    instance: Instance
    first: Request
    """The request for the instance's first response."""
    repeat: int
    """Which of the responses to the instance this is."""
    request_hash: str
    """16 hex digits of the request's content."""

    @property
    def request(self) -> Request:
        """What goes to the model."""
        return self.first.repeated(self.repeat) if self.repeat else self.first

    @property
    def key(self) -> str:
        """Name in the journal: which instance, which response to it, which request."""
        return f"{self.instance.id}#{self.repeat}:{self.request_hash}"


class LazySequence(Sequence[T]):
    """A sequence whose members are made from their position when they are looked at."""

    def member(self, position: int) -> T:
        """The member at a position from 0."""
        raise NotImplementedError

    @overload
    def __getitem__(self, position: int) -> T: ...

    @overload
    def __getitem__(self, position: slice) -> list[T]: ...

    def __getitem__(self, position: int | slice) -> T | list[T]:
        if isinstance(position, slice):
            return [self.member(at) for at in range(len(self))[position]]
        if 0 <= position < len(self):
            return self.member(position)
        return self.member(range(len(self))[position])

    def __iter__(self) -> Iterator[T]:
        return map(self.member, range(len(self)))


class Items(LazySequence[Item]):
    """One task's items: instance by instance, each with its repeats."""

    def __init__(self, instances: Sequence[Instance], requests: Sequence[Request]) -> None:
        self.instances = instances
        self.requests = requests
        self.ends = array("q", accumulate(request.generation.n for request in requests))
        """Where the items of each instance end."""

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def locate(self, position: int) -> tuple[int, int]:
        """Number of the instance of an item, and the repeat."""
        number = bisect_right(self.ends, position)
        return number, position - (self.ends[number - 1] if number else 0)

    def member(self, position: int) -> Item:
        """The item at a position from 0."""
        number, repeat = self.locate(position)
        digest = f"{self.hashes[position]:016x}"
        return Item(self.instances[number], self.requests[number], repeat, digest)

    @cached_property
    def hashes(self) -> array[int]:
        """The first 64 bits of each request's content hash."""
        digest = RequestHasher().digest
        return array(
            "Q",
            (
                int(digest(request.repeated(repeat))[:16], 16)
                for request in self.requests
                for repeat in range(request.generation.n)
            ),
        )

    @cached_property
    def doc_hashes(self) -> array[int]:
        """The hash of each instance's document, taken once for all models that are asked."""
        return array("Q", (int(instance.doc_hash, 16) for instance in self.instances))

    def keys_and_docs(self) -> Iterator[tuple[str, str]]:
        """Every item's key and the hash of its document."""
        position = 0
        for number, request in enumerate(self.requests):
            name, doc_hash = self.instances[number].id, f"{self.doc_hashes[number]:016x}"
            for repeat in range(request.generation.n):
                yield f"{name}#{repeat}:{self.hashes[position]:016x}", doc_hash
                position += 1


class Docs(LazySequence[Doc]):
    """The document of each of a task's items."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def member(self, position: int) -> Doc:
        """The document of the item at a position from 0."""
        number, _ = self.items.locate(position)
        return self.items.instances[number].doc


class Concatenation(LazySequence[T]):
    """Several sequences as one."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self.parts = parts
        self.ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def locate(self, position: int) -> tuple[int, int]:
        """Which of the sequences a position lies in, and where in it."""
        part = bisect_right(self.ends, position)
        return part, position - (self.ends[part - 1] if part else 0)

    def member(self, position: int) -> T:
        """The member at a position from 0."""
        part, at = self.locate(position)
        return self.parts[part][at]
