"""Constraints of an instruction, drawn by seed: such as can be met together, in the persona's words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from olmes.benchmark.registry import load_task
from olmes.decontamination.tokens import tokens
from olmes.errors import OlmesError
from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.vocabulary import NOUNS
from olmes.synthesis.draws import draw
from olmes.tools import jsonl
from olmes.types import Doc, Response, VerdictPart

TRIES = 50
"""Drawings of constraints before an instruction is given up."""
STAND_IN = "Tell me about this"
"""The request where none is written yet."""
SEEDS = Path(__file__).parent / "seed-instructions.txt"
LONG = 5
"""Letters of a persona's word that a constraint may be about."""
COMMON = (
    "about", "above", "after", "again", "along", "among", "another", "around", "because",
    "before", "behind", "being", "between", "could", "during", "every", "first", "where",
    "which", "while", "whose", "without", "years", "their", "there", "these", "those", "three",
    "through", "under", "until", "using", "wants", "works", "would", "often", "never", "still",
    "since", "other", "likes", "lives", "keeps", "makes",
)  # fmt: skip
"""Long words that say nothing of a persona."""
NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """The constraints of one instruction."""

    told: tuple[Constraint, ...]
    """Those that the instruction is written with."""
    late: tuple[type[Constraint], ...]
    """Kinds whose arguments need the instruction (to repeat it, say): they are put behind it."""
    example: str
    """An instruction with other constraints of the same kinds."""

    def sentences(self) -> str:
        """What the instruction must ask, as one line."""
        return " ".join(f"({n}) {one.describe()}" for n, one in enumerate(self.told, start=1))


class Drawing:
    """Draws from the constraints of a task.

    Args:
        name: of a task of verifiable instructions, or its file.
        seed: of everything that is drawn.
        fewest: constraints of an instruction, at least.
        most: at most.

    Raises:
        OlmesError: there is no such task, or it has no constraints.
    """

    def __init__(self, name: str, seed: int, fewest: int, most: int) -> None:
        task = load_task(name)
        if not isinstance(task, InstructionTask):
            raise OlmesError(
                f"'{name}' has no constraints that could be drawn; name a task of verifiable "
                "instructions as 'if.task'."
            )
        self.task: InstructionTask[Any] = task
        self.seed, self.fewest, self.most = seed, fewest, most
        kinds = task.catalog.kinds
        self.late = [kind for kind in kinds.values() if needs_prompt(kind)]
        self.plain = [kind for kind in kinds.values() if kind not in self.late]
        self.topics = topics()

    def of(self, number: int, persona: str) -> Drawn | None:
        """The constraints of the instruction of a number; None where none go together."""
        rng = draw(self.seed, "constraints", number)
        for _ in range(TRIES):
            first = rng.choice(self.plain)
            count = rng.randint(self.fewest, self.most) - 1
            others = [kind for kind in (*self.plain, *self.late) if kind is not first]
            chosen = [first, *rng.sample(others, min(count, len(others)))]
            told = tuple(
                about(kind.draw(rng), persona, rng) for kind in chosen if kind not in self.late
            )
            late = tuple(kind for kind in chosen if kind in self.late)
            # One alone can be met, whatever was drawn.
            if len(chosen) == 1 or self.meetable(self.doc(STAND_IN, told, late)):
                example = " ".join(
                    [rng.choice(self.topics), *(type(one).draw(rng).describe() for one in told)]
                )
                return Drawn(told, late, example)
        return None

    def doc(self, prompt: str, told: Sequence[Constraint], late: Sequence[type[Constraint]]) -> Doc:
        """The item of the task: the whole request, what it must meet, the arguments."""
        constraints = list(told)
        for kind in late:
            one = kind.draw(draw(self.seed), prompt)
            prompt = f"{prompt}\n{one.describe()}"
            constraints.append(one)
        return {
            "prompt": prompt,
            "instruction_id_list": [one.id for one in constraints],
            "kwargs": [one.arguments() for one in constraints],
        }

    def meetable(self, doc: Doc) -> bool:
        """Whether a text is known that meets all constraints of an item, strictly."""
        text = self.task.meeting(doc)
        return text is not None and strictly(self.task.score(doc, Response(text=text)).parts)


def strictly(parts: Sequence[VerdictPart]) -> bool:
    """Whether every constraint is met strictly, and as it is stated where a task tells that apart."""
    return bool(parts) and all(part["strict"] and part.get("stated", True) for part in parts)


def broken(part: VerdictPart) -> bool:
    """Whether a constraint is missed in every reading: strictly, loosely, and as it is stated."""
    return not (part["strict"] or part["loose"] or part.get("stated", False))


def needs_prompt(kind: type[Constraint]) -> bool:
    """Whether the arguments of a kind depend on the request."""
    return any(kind.draw(draw(n), STAND_IN) != kind.draw(draw(n), "Else") for n in range(3))


def about(constraint: Constraint, persona: str, rng: Random) -> Constraint:
    """A constraint whose made-up words are replaced by the persona's, as far as it has some."""
    words = list(dict.fromkeys(w for w in tokens(persona) if telling(w)))
    rng.shuffle(words)

    def own(value: Any) -> Any:
        if isinstance(value, tuple) and value and all(one in NOUNS for one in value):
            return tuple(words.pop() if words else one for one in value)
        return words.pop() if isinstance(value, str) and value in NOUNS and words else value

    fields = {f.name: own(getattr(constraint, f.name)) for f in dataclasses.fields(constraint)}  # type: ignore[arg-type]
    return dataclasses.replace(constraint, **fields)  # type: ignore[type-var]


def telling(word: str) -> bool:
    """Whether a word says something of a persona: long, of small letters alone, not in any text."""
    return len(word) >= LONG and word.isascii() and word.isalpha() and word not in COMMON


def stated(instruction: str, constraint: Constraint) -> bool:
    """Whether an instruction speaks of a constraint: of its arguments, and with half of its words."""
    said = tokens(instruction)
    there = set(said)
    for value in constraint.arguments().values():
        for one in value if isinstance(value, list) else [value]:
            if not names(said, there, one):
                return False
    words = {word for word in tokens(constraint.describe()) if len(word) >= LONG}
    return 2 * len(words & there) >= len(words)


def names(said: Sequence[str], there: set[str], value: Any) -> bool:
    """Whether a text says a value: a number also as a word, a phrase as a run of words."""
    if isinstance(value, int):
        word = NUMBERS[value] if value < len(NUMBERS) else ""
        return str(value) in there or word in there
    wanted = tokens(str(value))
    if not wanted:
        return True
    size = len(wanted)
    return any(list(said[at : at + size]) == wanted for at in range(len(said) - size + 1))


@cache
def topics() -> tuple[str, ...]:
    """Requests without a constraint, for examples."""
    lines = jsonl.read_text(SEEDS).splitlines()
    return tuple(line for line in map(str.strip, lines) if line and not re.match("#", line))
