"""Rows of the kind `if`: instructions with constraints, and answers that meet each of them.

Tülu 3, section 3.1.2 and figures 30 to 32. An answer is kept when the scorer of the task that the
constraints are of says that it meets all of them strictly, so that no row is written that is not
verified. In a preference pair the answer to a relaxed request is rejected, and it is kept only where
the same scorer says that it breaks the constraint that was taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes.synthesis.candidates import INSTRUCTION, Candidate, Kind, Workshop, grouped, repeated
from olmes.synthesis.drawn_constraints import Drawing, Drawn, broken, stated, strictly
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.replies import trouble
from olmes.types import JsonObject, Response

LABEL = "User instruction:"
RELAXED, REJECTED = "relaxed instruction", "rejected answer"
ANSWER = "verified answer"


class ConstrainedKind(Kind):
    """Verifiable instructions."""

    name = "if"
    prompt_names = ("if-instruction", "if-response", "if-relaxed")

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        self.table = self.recipe.constrained
        self.drawing = drawing_of(self.recipe)
        self.restated = 0
        """Constraints that were put behind an instruction that did not speak of them."""

    @staticmethod
    def wanted(recipe: PersonaRecipe) -> int:
        """As the recipe says."""
        return recipe.constrained.instructions

    @staticmethod
    def check(recipe: PersonaRecipe) -> None:
        """The task has constraints that can be drawn."""
        drawing_of(recipe)

    def propose(self, numbers: Sequence[int]) -> list[Candidate]:
        """Instructions with constraints."""
        drawn: dict[int, Drawn] = {}
        asks = []
        for number in numbers:
            persona, turn = self.personas.of(self.name, number)
            found = self.drawing.of(number, persona)
            if found is None:
                self.steps.lost(
                    self.name, INSTRUCTION, "no constraints that go together were drawn"
                )
                continue
            drawn[number] = found
            text = self.prompts.filled(
                "if-instruction",
                persona=persona,
                example=found.example,
                constraints=found.sentences(),
            )
            request = self.workshop.generator.request(text, self.recipe.seed, turn, label=LABEL)
            asks.append((str(number), request))
        responses = self.generate("instructions", asks)
        return [
            candidate
            for number, response in zip(drawn, responses, strict=True)
            if (candidate := self.candidate(number, drawn[number], response))
        ]

    def candidate(self, number: int, drawn: Drawn, response: Response) -> Candidate | None:
        """The instruction that was written, with what must be put behind it."""
        text = self.written(INSTRUCTION, response, LABEL)
        if not text:
            return None
        if self.table.restate:
            missing = [one.describe() for one in drawn.told if not stated(text, one)]
            self.restated += len(missing)
            text = " ".join([text, *missing])
        doc = self.drawing.doc(text, drawn.told, drawn.late)
        if drawn.late and not self.drawing.meetable(doc):
            self.steps.lost(self.name, INSTRUCTION, "its constraints do not go together")
            return None
        self.steps.kept(self.name, INSTRUCTION)
        persona, _ = self.personas.of(self.name, number)
        return Candidate(
            kind=self.name, number=number, persona=persona, prompt=doc["prompt"], doc=doc
        )

    def rows(self, candidates: Sequence[Candidate]) -> list[JsonObject]:
        """Answers that meet every constraint: of several the first."""
        count = self.table.responses
        responder = self.workshop.responder
        requests = [
            responder.request(
                self.prompts.filled("if-response", instruction=one.prompt), self.recipe.seed
            )
            for one in candidates
        ]
        responses = self.respond("answers", repeated(candidates, requests, count))
        whole = [
            (place, response)
            for place, group in enumerate(grouped(responses, count))
            for response in group
            if not trouble(response)
        ]
        cases = [(candidates[place].doc, response) for place, response in whole]
        kept: dict[int, Response] = {}
        for (place, response), held in zip(
            whole, self.workshop.scorers.verdicts(self.drawing.task, cases), strict=True
        ):
            if strictly(held.parts):
                kept.setdefault(place, response)
        answered = {place for place, _ in whole}
        for place, group in enumerate(grouped(responses, count)):
            if place in kept:
                self.steps.kept(self.name, ANSWER)
            else:
                why = "a constraint is not met" if place in answered else trouble(group[0])
                self.steps.lost(self.name, ANSWER, why)
        return [self.constrained_row(candidates[place], kept[place].text) for place in sorted(kept)]

    def constrained_row(self, candidate: Candidate, answer: str) -> JsonObject:
        """A row that `olmes train rlvr` can verify."""
        ids, kwargs = candidate.doc["instruction_id_list"], candidate.doc["kwargs"]
        return self.row(
            candidate,
            answer,
            constraints=[
                {"id": one, "kwargs": given} for one, given in zip(ids, kwargs, strict=True)
            ],
            verifiers=[{"task": self.table.task, "doc": candidate.doc}],
        )

    def pairs(self, rows: Sequence[JsonObject]) -> list[JsonObject]:
        """Pairs of an answer and one to the relaxed request."""
        chosen = [row for row in rows if self.drawn_for_pair(row)]
        relaxed = {
            row["id"]: self.rng("relaxed", number_of(row)).randrange(len(row["constraints"]))
            for row in chosen
        }
        generator, responder = self.workshop.generator, self.workshop.responder
        asks = []
        for row in chosen:
            [constraint] = self.drawing.task.catalog.item(
                [row["constraints"][relaxed[row["id"]]]["id"]],
                [row["constraints"][relaxed[row["id"]]]["kwargs"]],
            )
            text = self.prompts.filled(
                "if-relaxed", instruction=prompt_of(row), constraints=constraint.describe()
            )
            asks.append((row["id"], generator.request(text, self.recipe.seed, label=LABEL)))
        easier = []
        for row, response in zip(chosen, self.generate("relaxed instructions", asks), strict=True):
            if text := self.written(RELAXED, response, LABEL):
                self.steps.kept(self.name, RELAXED)
                easier.append((row, text))
        responses = self.respond(
            "rejected answers",
            [
                (
                    row["id"],
                    responder.request(
                        self.prompts.filled("if-response", instruction=text), self.recipe.seed
                    ),
                )
                for row, text in easier
            ],
        )
        cases = [
            (row["verifiers"][0]["doc"], response)
            for (row, _), response in zip(easier, responses, strict=True)
        ]
        judged = self.workshop.scorers.verdicts(self.drawing.task, cases)
        found = []
        for (row, text), response, held in zip(easier, responses, judged, strict=True):
            place = relaxed[row["id"]]
            if why := trouble(response):
                self.steps.lost(self.name, REJECTED, why)
            elif not held.parts or not broken(held.parts[place]):
                self.steps.lost(self.name, REJECTED, "the relaxed constraint is met all the same")
            else:
                self.steps.kept(self.name, REJECTED)
                found.append(pair(row, text, response.text, row["constraints"][place]["id"]))
        return found

    def drawn_for_pair(self, row: JsonObject) -> bool:
        """Whether a pair is made of a row: the recipe's share of them, by seed."""
        return self.rng("pair", number_of(row)).random() < self.table.pairs


def drawing_of(recipe: PersonaRecipe) -> Drawing:
    """What draws the constraints of a recipe.

    Raises:
        OlmesError: there is no such task, or it has no constraints.
    """
    table = recipe.constrained
    return Drawing(table.task, recipe.seed, table.fewest, table.most)


def pair(row: JsonObject, relaxed: str, rejected: str, constraint: str) -> JsonObject:
    """A preference pair as it is written."""
    return {
        "id": row["id"],
        "prompt": prompt_of(row),
        "chosen": row["messages"][-1]["content"],
        "rejected": rejected,
        "relaxed_prompt": relaxed,
        "relaxed_constraint": constraint,
        "constraints": row["constraints"],
        "persona": row["persona"],
        "seed": row["seed"],
        "models": row["models"],
    }


def prompt_of(row: JsonObject) -> str:
    """The user's turn of a row."""
    return str(row["messages"][0]["content"])


def number_of(row: JsonObject) -> int:
    """The number of a row's instruction."""
    return int(row["id"].rpartition("-")[2])
