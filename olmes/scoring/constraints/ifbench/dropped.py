"""The four types of Tülu 3's IFEval-OOD that IFBench dropped (docs/protocol.md, section 4.6.1).

Tülu 3's prompts were never published, so that nothing but the paper's table fixes these.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.ifbench.countries import places
from olmes.scoring.constraints.spoken import bare_words, folded

CAMEL_CASE = re.compile(r"[a-z][a-z0-9]*(?:[A-Z][a-z0-9]+)*[A-Z]?")
TWO_CAPITALS = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True)
class Countries(OodConstraint):
    """Places in enough different countries."""

    id = "count:countries"
    instruction = "Include names of locations from at least {percentage} different countries."

    percentage: int
    """The number of countries; the released file calls it so."""

    def check(self, text: str) -> bool:
        """Countries and larger cities of a fixed list, written with their capitals.

        The release found places with spaCy's named entities and counted each place as a country.
        """
        plain = folded(text)
        found = {
            country
            for place, country in places().items()
            if place in plain and re.search(rf"(?<!\w){re.escape(place)}(?!\w)", plain)
        }
        return len(found) >= self.percentage

    def example(self) -> str:
        """The first countries of the list."""
        names = list(dict.fromkeys(places().values()))
        return ", ".join(names[: max(self.percentage, 1) + 2])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to ten."""
        return cls(rng.randint(2, 10))


@dataclass(frozen=True)
class Levenshtein(OodConstraint):
    """A text that differs from a given one in few characters."""

    id = "count:levenshtein"
    instruction = (
        "Please rewrite the reference text to make it sound better and ensure a Levenshtein "
        "distance of no more than {N} from the provided reference text. Reference Text: "
        "{reference_text}"
    )

    reference_text: str
    N: int

    def __post_init__(self) -> None:
        require_at_least(1, N=self.N)

    def check(self, text: str) -> bool:
        """One to N characters inserted, deleted or replaced; whether it sounds better is open."""
        return text != self.reference_text and self.reference(text)

    def reference(self, text: str) -> bool:
        """The text unchanged passes too."""
        return within_distance(text, self.reference_text, self.N)

    def example(self) -> str:
        """One character more."""
        return f"{self.reference_text}!"

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """An English sentence and 5 to 40 characters."""
        made_up = f"This is a nice book about the {rng.choice(('old', 'new', 'small'))} town."
        return cls(made_up, rng.randint(5, 40))


def within_distance(a: str, b: str, most: int) -> bool:
    """Whether `a` becomes `b` by at most `most` edits of one character; O(len(a) * most)."""
    if abs(len(a) - len(b)) > most:
        return False
    beyond = most + 1
    row = {column: column for column in range(min(len(b), most) + 1)}
    for i, char in enumerate(a, 1):
        before, row = row, {}
        for j in range(max(0, i - most), min(len(b), i + most) + 1):
            changed = before.get(j - 1, beyond) + (j == 0 or char != b[j - 1])
            row[j] = min(changed, before.get(j, beyond) + 1, row.get(j - 1, beyond) + 1, beyond)
        if min(row.values()) > most:
            return False
    return row[len(b)] <= most


@dataclass(frozen=True)
class WordsFrench(OodConstraint):
    """Every N-th word is French, as a French word list has it."""

    id = "count:words_french"
    instruction = "Every {N}th word of your response must be in french."

    N: int

    def __post_init__(self) -> None:
        require_at_least(1, N=self.N)

    def check(self, text: str) -> bool:
        """There is an N-th word, and it and every N-th after it is on the list; digits are passed over.

        A word that is English as well ("phrase") is French. With an apostrophe ("C'est") what
        stands after it is looked up.
        """
        nth = bare_words(text.lower().replace("’", "'"))[self.N - 1 :: self.N]
        words = [word.rsplit("'", 1)[-1] for word in nth if not word.isdigit()]
        return bool(words) and all(word in french_words() for word in words)

    def example(self) -> str:
        """One round."""
        return " ".join(["garden"] * (self.N - 1) + ["maison"])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Every 4th to every 20th, which all take "th"."""
        return cls(rng.randint(4, 20))


@cache
def french_words() -> Any:
    """The French word list of `pyspellchecker`.

    Raises:
        OlmesError: it is not installed.
    """
    try:
        from spellchecker import SpellChecker
    except ImportError:
        raise OlmesError(
            "count:words_french needs a French word list; "
            "install it with `pip install pyspellchecker`."
        ) from None
    return SpellChecker(language="fr").word_frequency


@dataclass(frozen=True)
class CamelCase(OodConstraint):
    """Python code whose variables are in camel case."""

    id = "format:camel_case"
    instruction = (
        "All variable names should be in camelCase. Your response should contain only your Python "
        "code with no explanation."
    )

    def check(self, text: str) -> bool:
        """The text parses, and names a variable; constants and names of one word in capitals fail."""
        names = variables(text)
        return bool(names) and all(map(CAMEL_CASE.fullmatch, names or ()))

    def reference(self, text: str) -> bool:
        """Code without a variable passes."""
        names = variables(text)
        return names is not None and all(
            name[0].islower() and name.isalnum() and not TWO_CAPITALS.search(name) for name in names
        )

    def example(self) -> str:
        """Two variables."""
        return "firstNumber = 1\nprint([oneMore for oneMore in [firstNumber]])"


def variables(code: str) -> list[str] | None:
    """The names that are assigned to, and those of parameters; None where `code` does not parse."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return list(_named(tree))


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
