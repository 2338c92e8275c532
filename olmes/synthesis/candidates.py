"""What every kind of row has in common: candidates in, rows out, each loss counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from olmes.synthesis.draws import draw
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.personas import Personas
from olmes.synthesis.prompts import Prompts
from olmes.synthesis.replies import NOT_IN_FORM, after, trouble
from olmes.synthesis.session import Session, SynthesisModel
from olmes.synthesis.steps import Steps
from olmes.synthesis.verdicts import Scorers
from olmes.types import JsonObject, Request, Response

INSTRUCTION = "instruction"


@dataclass(kw_only=True)
class Candidate:
    """An instruction that may become a row."""

    kind: str
    number: int
    """From 0, among those of its kind."""
    persona: str
    prompt: str
    """The user's turn."""
    doc: JsonObject = field(default_factory=dict)
    """What it is verified by."""

    @property
    def id(self) -> str:
        """Name of the row, the same in every session."""
        return f"{self.kind}-{self.number:06d}"


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What kinds work with."""

    recipe: PersonaRecipe
    session: Session
    personas: Personas
    prompts: Prompts
    steps: Steps
    scorers: Scorers
    generator: SynthesisModel
    responder: SynthesisModel


class Kind(ABC):
    """One kind of rows."""

    name: str
    prompt_names: tuple[str, ...]
    """Prompts that it fills."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.recipe, self.session, self.steps = workshop.recipe, workshop.session, workshop.steps
        self.prompts, self.personas = workshop.prompts, workshop.personas

    @staticmethod
    @abstractmethod
    def wanted(recipe: PersonaRecipe) -> int:
        """Instructions that a recipe asks for."""

    @staticmethod
    def check(recipe: PersonaRecipe) -> None:  # noqa: ARG004 (for others)
        """Return when what the recipe names is there.

        Raises:
            OlmesError: it is not.
        """
        return

    @property
    def count(self) -> int:
        """Instructions that are asked for here."""
        return self.wanted(self.recipe)

    @abstractmethod
    def propose(self, numbers: Sequence[int]) -> list[Candidate]:
        """The instructions of some numbers, as far as models write them."""

    @abstractmethod
    def rows(self, candidates: Sequence[Candidate]) -> list[JsonObject]:
        """Rows out of candidates: answered and verified."""

    def pairs(self, rows: Sequence[JsonObject]) -> list[JsonObject]:  # noqa: ARG002 (for others)
        """Preference pairs out of rows; here none."""
        return []

    def rng(self, what: str, number: int) -> Random:
        """What is drawn for one instruction."""
        return draw(self.recipe.seed, self.name, what, number)

    def generate(self, stage: str, asks: Sequence[tuple[str, Request]]) -> list[Response]:
        """Ask who writes instructions."""
        return self.session.ask(f"{self.name} {stage}", self.workshop.generator, asks)

    def respond(self, stage: str, asks: Sequence[tuple[str, Request]]) -> list[Response]:
        """Ask who answers them."""
        return self.session.ask(f"{self.name} {stage}", self.workshop.responder, asks)

    def written(self, step: str, response: Response, label: str) -> str:
        """What a response says behind its label, counted; '' where there is nothing to keep."""
        why = trouble(response)
        begun = label if self.workshop.generator.table.begin else ""
        text = "" if why else after(label, begun + response.text)
        if not text:
            self.steps.lost(self.name, step, why or NOT_IN_FORM)
        return text

    def row(self, candidate: Candidate, response: str, **more: object) -> JsonObject:
        """A row as it is written."""
        return {
            "id": candidate.id,
            "messages": [
                {"role": "user", "content": candidate.prompt},
                {"role": "assistant", "content": response},
            ],
            "kind": self.name,
            "persona": candidate.persona,
            **more,
            "seed": self.recipe.seed,
            "models": {
                "instruction": self.workshop.generator.name,
                "response": self.workshop.responder.name,
            },
        }


def repeated(
    candidates: Iterable[Candidate], requests: Sequence[Request], count: int
) -> list[tuple[str, Request]]:
    """Each candidate's request so many times, with keys of their own."""
    return [
        (f"{one.id}.{number}", request.repeated(number))
        for one, request in zip(candidates, requests, strict=True)
        for number in range(count)
    ]


def grouped(responses: Sequence[Response], count: int) -> list[Sequence[Response]]:
    """What `repeated` asked for, by candidate."""
    return [responses[at : at + count] for at in range(0, len(responses), count)]
