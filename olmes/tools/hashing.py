"""Content hashes: the same content has the same hash on every machine and in every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical_json(value: Any) -> bytes:
    """The one byte string a JSON value is hashed as: sorted keys, no spaces.

    Non-ASCII stays escaped, so that a lone surrogate (which a replayed response may hold and UTF-8
    cannot) hashes too.
    """
    return CANONICAL.encode(value).encode("ascii")


def sha256(data: bytes) -> str:
    """The 64 hex digits of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) over the canonical JSON of `value`."""
    return sha256(canonical_json(value))


class Members:
    """An array in a hashed value whose members are made one by one while they are hashed."""

    def __init__(self, members: Iterable[Any]) -> None:
        self.members = members


def streamed_hash(value: Any) -> str:
    """`content_hash` of a value whose objects may have `Members` in place of long arrays."""
    digest = hashlib.sha256()
    for piece in canonical_pieces(value):
        digest.update(piece)
    return digest.hexdigest()


def canonical_pieces(value: Any) -> Iterator[bytes]:
    """The canonical JSON of such a value, piece by piece."""
    if isinstance(value, Members):
        yield b"["
        for number, member in enumerate(value.members):
            yield (b"," if number else b"") + canonical_json(member)
        yield b"]"
    elif isinstance(value, dict):
        yield b"{"
        for number, key in enumerate(sorted(value)):
            yield (b"," if number else b"") + canonical_json(key) + b":"
            yield from canonical_pieces(value[key])
        yield b"}"
    else:
        yield canonical_json(value)


def set_hash(values: Iterable[Any]) -> str:
    """SHA-256 over the sorted content hashes of `values`: equal for equal sets in any order."""
    return sha256("".join(sorted(content_hash(value) for value in values)).encode("ascii"))


def file_sha256(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
