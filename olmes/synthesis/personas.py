"""Personas: the bundled list, or a file of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.synthesis.draws import draw
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash

BUNDLED = Path(__file__).parent / "personas.txt"
FIELD = "persona"


@dataclass(frozen=True)
class Personas:
    """Who asks, in an order drawn by seed."""

    texts: tuple[str, ...]
    """Each once, as the file has them."""
    seed: int

    @property
    def hash(self) -> str:
        """64 hex digits of the list."""
        return content_hash(list(self.texts))

    def of(self, kind: str, number: int) -> tuple[str, int]:
        """Who asks the instruction of a number, and how often that persona asked before.

        Each persona of the list asks once before any asks again.
        """
        turn, place = divmod(number, len(self.texts))
        return self.texts[self.order(kind)[place]], turn

    def order(self, kind: str) -> Sequence[int]:
        """The order in which the personas of the list ask instructions of a kind."""
        places = list(range(len(self.texts)))
        draw(self.seed, kind, "personas").shuffle(places)
        return places


def read_personas(file: str, seed: int) -> Personas:
    """The personas of a file, or the bundled ones for ''.

    Raises:
        OlmesError: the file cannot be read or holds none, or a row has no text under `persona`.
    """
    path = Path(file) if file else BUNDLED
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        found = [persona_of(row, path, line) for line, row in jsonl.read_numbered(path)]
    else:
        lines = jsonl.read_text(path).splitlines()
        found = [line for line in lines if not line.lstrip().startswith("#")]
    texts = tuple(dict.fromkeys(filter(None, (" ".join(text.split()) for text in found))))
    if not texts:
        raise OlmesError(f"{path} has no persona; write one a line.")
    return Personas(texts, seed)


def persona_of(row: object, path: Path, line: int) -> str:
    """The text of a row.

    Raises:
        OlmesError: it has none.
    """
    text = row.get(FIELD) if isinstance(row, Mapping) else None
    if not isinstance(text, str):
        raise OlmesError(f"{path}, line {line}: a row has a text under '{FIELD}'; add it.")
    return text
