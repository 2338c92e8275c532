"""Rows of the kind `math`: problems whose answer most of several solutions agree on.

Tülu 3, section 3.1.2 and figures 33 and 34. Votes are counted as a task counts them for maj@k
(`Task.vote`), and the solution that is kept is right to the same task's scorer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from olmes.benchmark.registry import load_task
from olmes.synthesis.candidates import INSTRUCTION, Candidate, Kind, Workshop, grouped, repeated
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.replies import trouble
from olmes.synthesis.verdicts import Held
from olmes.types import Doc, JsonObject, Response

LABEL = "Math problem:"
AGREED, ANSWER = "agreed answer", "verified answer"
UNKNOWN = "0"
"""The answer of an item whose answer nobody knows yet, where votes are read."""


class MathKind(Kind):
    """Problems with a final answer."""

    name = "math"
    prompt_names = ("math-problem", "math-solution")

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        self.table = self.recipe.math
        self.task = load_task(self.table.task)

    @staticmethod
    def wanted(recipe: PersonaRecipe) -> int:
        """As the recipe says."""
        return recipe.math.instructions

    @staticmethod
    def check(recipe: PersonaRecipe) -> None:
        """The task is there."""
        load_task(recipe.math.task)

    def propose(self, numbers: Sequence[int]) -> list[Candidate]:
        """Problems of personas."""
        asked = [(number, *self.personas.of(self.name, number)) for number in numbers]
        asks = [
            (
                str(number),
                self.workshop.generator.request(
                    self.prompts.filled("math-problem", persona=persona),
                    self.recipe.seed,
                    turn,
                    label=LABEL,
                ),
            )
            for number, persona, turn in asked
        ]
        found = []
        for (number, persona, _), response in zip(
            asked, self.generate("problems", asks), strict=True
        ):
            if text := self.written(INSTRUCTION, response, LABEL):
                self.steps.kept(self.name, INSTRUCTION)
                found.append(Candidate(kind=self.name, number=number, persona=persona, prompt=text))
        return found

    def rows(self, candidates: Sequence[Candidate]) -> list[JsonObject]:
        """The problems whose solutions agree, each with one of these."""
        count = self.table.solutions
        requests = [
            self.workshop.responder.request(
                self.prompts.filled("math-solution", problem=one.prompt), self.recipe.seed
            )
            for one in candidates
        ]
        responses = self.respond("solutions", repeated(candidates, requests, count))
        cases = [
            (self.doc(one.prompt, UNKNOWN), response)
            for one, group in zip(candidates, grouped(responses, count), strict=True)
            for response in group
        ]
        read = self.workshop.scorers.verdicts(self.task, cases)
        agreed = []
        for place, one in enumerate(candidates):
            own = slice(place * count, (place + 1) * count)
            if chosen := self.chosen(one, responses[own], read[own]):
                agreed.append((one, *chosen))
        return self.verified(agreed)

    def chosen(
        self, one: Candidate, responses: Sequence[Response], read: Sequence[Held]
    ) -> tuple[Response, str, float] | None:
        """A solution with the answer that most have, that answer, and the share of the solutions."""
        if all(map(trouble, responses)):
            self.steps.lost(self.name, AGREED, trouble(responses[0]))
            return None
        votes = [
            None if trouble(response) else self.vote(held)
            for response, held in zip(responses, read, strict=True)
        ]
        counted = Counter(vote for vote in votes if vote is not None).most_common(2)
        if not counted:
            self.steps.lost(self.name, AGREED, "no solution states its answer in the form")
            return None
        (winner, most), others = counted[0], counted[1:]
        if most < self.table.agreement * len(responses) or any(n == most for _, n in others):
            self.steps.lost(self.name, AGREED, "the solutions do not agree")
            return None
        places = [place for place, vote in enumerate(votes) if vote == winner]
        place = self.rng("solution", one.number).choice(places)
        self.steps.kept(self.name, AGREED)
        return responses[place], first(read[place].extracted), most / len(responses)

    def vote(self, held: Held) -> str | None:
        """What a solution votes for; None where it has no answer in the form that was asked for."""
        if held.troubles or held.unparsed or held.misformatted:
            return None
        return self.task.vote(held.extracted)

    def verified(
        self, agreed: Sequence[tuple[Candidate, Response, str, float]]
    ) -> list[JsonObject]:
        """Those whose solution is right to the task's scorer, by the answer that was agreed on."""
        docs = [self.doc(one.prompt, answer) for one, _, answer, _ in agreed]
        cases = [(doc, agreed[place][1]) for place, doc in enumerate(docs)]
        rows = []
        for (one, response, answer, share), doc, held in zip(
            agreed, docs, self.workshop.scorers.verdicts(self.task, cases), strict=True
        ):
            if held.values.get(self.task.decisive) != 1.0:
                self.steps.lost(self.name, ANSWER, "the scorer does not accept the agreed answer")
                continue
            self.steps.kept(self.name, ANSWER)
            rows.append(
                self.row(
                    one,
                    response.text,
                    answer=answer,
                    agreement=share,
                    verifiers=[{"task": self.table.task, "doc": doc}],
                )
            )
        return rows

    def doc(self, problem: str, answer: str) -> Doc:
        """An item of the task."""
        return {name: filled(value, problem, answer) for name, value in self.table.doc.items()}


def filled(value: Any, problem: str, answer: str) -> Any:
    """A field of an item with the problem and the answer in their places."""
    if not isinstance(value, str):
        return value
    return "".join(
        answer if part == "{answer}" else problem if part == "{problem}" else part
        for part in pieces(value)
    )


def pieces(text: str) -> list[str]:
    """A text cut at its places."""
    return re.split(r"(\{answer\}|\{problem\})", text)


def first(extracted: Any) -> str:
    """The answer that was extracted; of several candidates the first."""
    found = extracted[0] if isinstance(extracted, list) and extracted else extracted
    return found if isinstance(found, str) else str(found)
