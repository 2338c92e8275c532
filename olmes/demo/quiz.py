"""Thirty-two short questions of our own that a very small model can partly answer: the demo's live task.

It measures nothing but that everything works: it is in no suite, and no board holds it beside a benchmark.
"""

from __future__ import annotations

import re

from olmes import (
    Doc,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    prompts,
)

WORD = re.compile(r"\w+")


class Quiz(Task):
    """Whether the first line has the answer's word or number."""

    name = "quiz"
    title = "Quiz"
    source = Source(
        files=(), fields=("kind", "question", "answers"), question=("question",), content_hash=""
    )
    metrics = (Metric(name="contains", help="the response has the answer as a word"),)
    primary = "contains"
    fixed = ("shots", "exemplars", "multiturn", "extract")
    formulation = Formulation(
        version=1,
        question="{question} Answer in one short sentence.",
        generation=Generation(max_tokens=32, stop=("\n",)),
    )

    def request(self, doc: Doc) -> Request:
        """The question, with how long the answer is to be."""
        question = self.formulation.question.format(question=doc["question"])
        return Request(messages=prompts.chat(question), generation=self.formulation.generation)

    def gold(self, doc: Doc) -> list[str]:
        """The answer in each form in which it is right."""
        return list(doc["answers"])

    def subtask(self, doc: Doc) -> str:
        """Facts or sums."""
        return str(doc["kind"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """Whether one of the forms is among the words of the response."""
        words = WORD.findall(response.text.casefold())
        found = [one for one in self.gold(doc) if one.casefold() in words]
        return Verdict(
            values={"contains": float(bool(found))},
            extracted=response.text.strip() or None,
            unparsed=not words,
        )

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The answer alone; that it is not known when `corrupt`."""
        return Response(text="I do not know." if corrupt else self.gold(doc)[0])


TASK = Quiz()
