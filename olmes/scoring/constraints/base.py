"""What a verifiable constraint is: typed arguments, one check, and how lenient "loose" is.

A constraint is a frozen dataclass: its fields are the arguments an item gives, `check` says whether
a text does what it states, `drawn` makes up arguments for training data. Nothing else is needed to
add one. Where the check that was published with the benchmark, by which the published numbers were
made, says something else, `reference` repeats that one, and its docstring says how the two differ.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from functools import lru_cache
from random import Random
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

Relation = Literal["less than", "at least"]
RELATIONS: tuple[Relation, ...] = ("less than", "at least")


def holds(count: int, relation: Relation, bound: int) -> bool:
    """Whether `count` stands in `relation` to `bound`."""
    return count < bound if relation == "less than" else count >= bound


@lru_cache(maxsize=1)
def loose_variants(text: str) -> tuple[str, ...]:
    """The eight readings of a response, without duplicates (docs/protocol.md, section 3.9).

    As it is; without its first line, its last line, both; and each of these without asterisks: a
    preamble, a closing remark or Markdown emphasis is forgiven.
    """
    lines = text.split("\n")
    cut = ("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))
    readings = (text, *cut)
    return tuple(dict.fromkeys((*readings, *(reading.replace("*", "") for reading in readings))))


class Constraint(ABC):
    """Base of every constraint; subclasses are frozen dataclasses."""

    id: ClassVar[str]
    """Instruction id as the benchmark's files have it."""
    instruction: ClassVar[str]
    """What the user is told, with the arguments in braces."""

    @abstractmethod
    def check(self, text: str) -> bool:
        """Whether `text` meets the constraint as it is stated; `text` is never blank."""

    def reference(self, text: str) -> bool:
        """What the published check says of `text`, which is never blank."""
        return self.check(text)

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:  # noqa: ARG003 (for subclasses)
        """A constraint with arguments drawn at random, for a training item that asks `prompt`."""
        return cls.drawn(rng)

    @classmethod
    def drawn(cls, rng: Random) -> Self:  # noqa: ARG003 (for subclasses)
        """What `draw` gives when the prompt does not matter; here for constraints without arguments."""
        return cls()

    def variants(self, text: str) -> tuple[str, ...]:
        """The readings of which one must pass for the loose verdict."""
        return loose_variants(text)

    @property
    def note(self) -> str:
        """What is unusual about these arguments; shown with every verdict."""
        return ""

    def arguments(self) -> dict[str, Any]:
        """The arguments as an item of the benchmark holds them."""
        fields = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))  # type: ignore[arg-type]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}

    def describe(self) -> str:
        """The instruction with its arguments filled in."""
        arguments = self.arguments()
        shown = {k: ", ".join(v) if isinstance(v, list) else v for k, v in arguments.items()}
        return self.instruction.format(**shown)


C = TypeVar("C", bound=Constraint)


def by_reference(kind: type[C]) -> type[C]:
    """The same constraint, judged by the published check."""
    if kind.reference is Constraint.reference:
        return kind
    members = {
        "check": kind.reference,
        "__doc__": kind.reference.__doc__,
        "__module__": kind.__module__,
    }
    return cast("type[C]", type(f"{kind.__name__}ByReference", (kind,), members))
